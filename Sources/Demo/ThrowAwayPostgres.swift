package import Platform
internal import Postgres

/// A Postgres cluster of its own in a temporary directory: a socket in the file system, no network,
/// nothing left when it is removed.
package final class ThrowAwayPostgres {
  /// Where Debian has the server's programs.
  private static let programs = "/usr/lib/postgresql/15/bin"
  private static let prefix = "martlet-demo"
  private static let startMilliseconds: Int64 = 60_000

  private let directory: TemporaryDirectory
  private let data: String
  private let log: String
  package let socketDirectory: String
  private var server: ChildProcess?

  /// Removes what killed ones have left, makes a cluster and starts it with the settings that
  /// capture needs.
  package init() throws(ProcessError) {
    TemporaryDirectory.removeAbandoned(Self.prefix)
    directory = try TemporaryDirectory(Self.prefix)
    // Postgres refuses to run as root.
    let owner = ProcessUser.isRoot ? "postgres" : nil
    data = try directory.makeDirectory("postgres", owner: owner)
    socketDirectory = try directory.makeDirectory("socket", owner: owner)
    log = "\(directory.path)/postgres.log"
    do throws(ProcessError) {
      try start()
    } catch {
      remove()
      throw error
    }
  }

  /// A place for the node's data, gone with the cluster.
  package func makeDirectory(_ name: String) throws(ProcessError) -> String {
    try directory.makeDirectory(name)
  }

  package func conninfo(database: String) -> String {
    "host=\(socketDirectory) port=5432 user=postgres dbname=\(database)"
  }

  private func asOwner(_ command: [String]) -> [String] {
    guard ProcessUser.isRoot else { return ["setpriv", "--pdeathsig=QUIT"] + command }
    return [
      "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=QUIT",
    ] + command
  }

  private func start() throws(ProcessError) {
    try ChildProcess.run(
      asOwner([
        "\(Self.programs)/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
        "--locale=C.UTF-8", "--no-sync",
      ]), output: log)
    let settings = [
      "listen_addresses=", "unix_socket_directories=\(socketDirectory)", "wal_level=logical",
      "max_wal_senders=8", "max_replication_slots=8", "max_connections=40",
    ]
    // The signal at the parent's death comes from the thread that started it: the main thread.
    let server = try ChildProcess(
      asOwner(["\(Self.programs)/postgres", "-D", data] + settings.flatMap { ["-c", $0] }),
      output: log)
    self.server = server
    let pause = Condition(())
    let deadline = MonotonicClock.milliseconds() + Self.startMilliseconds
    while !PostgresConnection.isReady(conninfo: conninfo(database: "postgres")) {
      guard server.isRunning, MonotonicClock.milliseconds() < deadline else {
        throw ProcessError("Postgres did not start; its log is \(log).")
      }
      // It says nowhere that it is ready but by answering.
      pause.wait(until: { _ in false }, milliseconds: 10) { _ in }
    }
  }

  /// Stops the server at once and removes everything.
  package func remove() {
    server?.quit()
    server?.wait()
    directory.remove()
  }
}
