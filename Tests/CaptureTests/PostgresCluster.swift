import Foundation

/// A throwaway Postgres: its own data directory, reached by a socket in it, stopped and removed by
/// `stop()`. Nil where Postgres is not installed, so that tests can say that they were skipped.
///
/// Server and `initdb` refuse root; they run as the user postgres then.
final class PostgresCluster: Sendable {
  static let binaries = "/usr/lib/postgresql/15/bin"
  static let isInstalled = FileManager.default.isExecutableFile(atPath: "\(binaries)/initdb")

  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// Holds the data and the socket.
  let directory: String
  /// Names the socket's file; no port is opened.
  let port = 5432

  /// `settings`: lines for postgresql.conf, beyond those that logical replication needs.
  init(settings: [String: String] = [:]) throws {
    directory = "/tmp/martlet-pg-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    if getuid() == 0 { _ = try Self.run("/bin/chown", ["postgres:", directory]) }
    _ = try Self.asPostgres(
      "\(Self.binaries)/initdb",
      ["-D", "\(directory)/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        + ["--locale=C.UTF-8"])
    let all = [
      "listen_addresses": "''", "unix_socket_directories": "'\(directory)'", "port": "\(port)",
      "wal_level": "logical", "max_replication_slots": "10", "max_wal_senders": "10",
      "max_prepared_transactions": "5", "fsync": "off", "shared_buffers": "'16MB'",
      "timezone": "'UTC'",
    ].merging(settings) { $1 }
    let text = all.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)\n" }.joined()
    try text.write(
      toFile: "\(directory)/martlet.conf", atomically: true, encoding: .utf8)
    _ = try Self.asPostgres(
      "/bin/sh", ["-c", "cat '\(directory)/martlet.conf' >> '\(directory)/data/postgresql.conf'"])
    try start()
  }

  /// For libpq.
  func connectionString(database: String = "postgres") -> String {
    "host=\(directory) port=\(port) user=postgres dbname=\(database)"
  }

  func start() throws {
    _ = try Self.asPostgres(
      "\(Self.binaries)/pg_ctl",
      ["-D", "\(directory)/data", "-l", "\(directory)/log", "-w", "-t", "60", "start"])
  }

  /// `mode`: smart, fast or immediate (which is a crash).
  func halt(mode: String = "fast") throws {
    _ = try Self.asPostgres(
      "\(Self.binaries)/pg_ctl", ["-D", "\(directory)/data", "-m", mode, "-w", "-t", "60", "stop"])
  }

  func stop() {
    _ = try? halt(mode: "immediate")
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// What psql prints for `sql`, unaligned, tuples only.
  @discardableResult
  func psql(
    _ sql: String, database: String = "postgres", variables: [String: String] = [:],
    separator: String = "|"
  ) throws -> String {
    let set = variables.sorted { $0.key < $1.key }.flatMap { ["-v", "\($0.key)=\($0.value)"] }
    // A file on standard input, where variables are replaced and several statements may stand.
    return try Self.run(
      "\(Self.binaries)/psql",
      ["-h", directory, "-p", "\(port)", "-U", "postgres", "-d", database, "-X", "-q", "-At"]
        + ["-F", separator, "-v", "ON_ERROR_STOP=1"] + set + ["-f", "-"], input: sql)
  }

  private static func asPostgres(_ program: String, _ arguments: [String]) throws -> String {
    guard getuid() == 0 else { return try run(program, arguments) }
    return try run("/usr/sbin/runuser", ["-u", "postgres", "--", program] + arguments)
  }

  private static func run(
    _ program: String, _ arguments: [String], input: String = ""
  ) throws -> String {
    // Files, not pipes: a server that is started here keeps what it inherits open. For the same
    // reason not Foundation's Process, which waits until a descriptor of its own is closed by all.
    let base = "/tmp/martlet-run-\(UUID().uuidString)"
    let names = ["in", "out", "err"].map { "\(base).\($0)" }
    defer { for name in names { try? FileManager.default.removeItem(atPath: name) } }
    try input.write(toFile: names[0], atomically: false, encoding: .utf8)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, names[0], O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, names[1], O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, names[2], O_WRONLY | O_CREAT, 0o600)
    let words = ([program] + arguments).map { strdup($0) }
    defer { for word in words { free(word) } }
    var pid: pid_t = 0
    let error = posix_spawn(&pid, program, &actions, nil, words + [nil], environ)
    guard error == 0 else { throw Failure(description: "\(program): error \(error)") }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      guard errno == EINTR else { throw Failure(description: "\(program) cannot be waited for") }
    }
    guard status == 0 else {
      let error = (try? String(contentsOfFile: names[2], encoding: .utf8)) ?? ""
      throw Failure(description: "\(program) \(arguments.joined(separator: " ")): \(error)")
    }
    return try String(contentsOfFile: names[1], encoding: .utf8)
  }
}
