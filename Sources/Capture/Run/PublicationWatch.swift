internal import Postgres

/// Looks, while a stream goes on, whether each wanted table is in the publication.
///
/// A publication of named tables knows them by what they are, not by their names: a table that is
/// dropped and made again, or takes the place of another by being renamed, is not in it, and
/// nothing in the stream says so. What is written to it until it is noticed cannot be had from the
/// stream, so it is noticed soon, and said.
///
/// Belongs to the catalogue's thread.
final class PublicationWatch {
  /// Adding a table waits for whoever alters it; others wait behind that meanwhile.
  private static let lockMilliseconds = 200

  private let setup: PublicationSetup
  private var seen = ""
  /// Tables that cannot be added: said once.
  private var said: Set<String> = []

  init(_ setup: PublicationSetup) { self.setup = setup }

  /// Throws if the server cannot be asked any more.
  func look() throws(PostgresError) {
    let state = try setup.catalogue.fingerprint(setup.config.publicationName)
    guard state != seen else { return }
    var isDone = true
    for table in try setup.missing(try setup.catalogue.tables()) {
      do throws(PostgresError) {
        try take(table)
      } catch {
        switch error.kind {
        case .unavailable: throw error
        case .busy: isDone = false
        case .refused: complain(table, error.description)
        }
      }
    }
    if isDone { seen = state }
  }

  private func take(_ table: Catalogue.Table) throws(PostgresError) {
    guard setup.config.publicationMode == .filtered else {
      return complain(table, "It is not in the publication.")
    }
    let connection = setup.catalogue.connection
    try connection.query("SET lock_timeout = \(Self.lockMilliseconds)")
    defer { _ = try? connection.query("RESET lock_timeout") }
    try setup.add(table)
    let end = try connection.query("SELECT pg_current_wal_lsn()").first?.first ?? nil
    setup.log(
      "\(table.fullName) was made, or made again, while tables of its name are captured: added it "
        + "to the publication '\(setup.config.publicationName)' at \(end ?? "?"). What was written "
        + "to it before is not in its topic; if there was anything, 'martlet capture --forget', "
        + "run once, begins anew with a snapshot.")
  }

  private func complain(_ table: Catalogue.Table, _ why: String) {
    guard said.insert(table.fullName).inserted else { return }
    let sql =
      "ALTER PUBLICATION \(SQL.name(setup.config.publicationName)) ADD TABLE \(table.sqlName)"
    setup.log(
      "\(table.fullName) is wanted, and its changes are NOT captured: \(why) As the owner of both, "
        + "run: \(sql)")
  }
}
