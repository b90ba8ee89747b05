import Foundation
import Postgres
import Processors
import Testing

/// A directory that goes when nobody holds it.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// What a sink wrote, read with a connection of its own.
protocol ResultReader: Sendable {
  /// Rows of texts; nil is null.
  func query(_ sql: String) throws -> [[String?]]
  /// SQL for a window's start as the text that topics have.
  var start: String { get }
}

extension ResultReader {
  /// Cents and orders of each window (its start as text) in both tables together.
  func revenue() throws -> [String: [Int64]] {
    var totals: [String: [Int64]] = [:]
    for (table, sum, count) in [
      ("revenue_analytics", "total_revenue", "order_count"),
      ("revenue_analytics_late", "amount", "row_count"),
    ] {
      for row in try query("SELECT \(start) , \(sum), \(count) FROM \(table)") {
        let key = try #require(row[0])
        let cents = try #require(row[1].flatMap { ExactDecimal($0.utf8)?.cents })
        totals[key, default: [0, 0]][0] += cents
        totals[key, default: [0, 0]][1] += try #require(row[2].flatMap { Int64($0) })
      }
    }
    return totals.filter { $0.value != [0, 0] }
  }

  var start: String { "window_start" }
}

struct SQLiteReader: ResultReader {
  let path: String

  func query(_ sql: String) throws -> [[String?]] {
    let database = try SQLiteDatabase(path: path)
    let statement = try database.prepare(sql)
    var rows: [[String?]] = []
    while try statement.step() {
      rows.append((0..<statement.columnCount).map { statement.text($0) })
    }
    return rows
  }
}

struct PostgresReader: ResultReader {
  let conninfo: String

  func query(_ sql: String) throws -> [[String?]] {
    let utc = [("options", "-c TimeZone=UTC")]
    return try PostgresConnection(conninfo: conninfo, defaults: utc).query(sql)
  }

  var start: String {
    "to_char(window_start, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
  }
}

/// A Postgres server of its own in a temporary directory, reached through a socket there.
final class ThrowawayPostgres: Sendable {
  static let programs = "/usr/lib/postgresql/15/bin"
  static var isInstalled: Bool {
    FileManager.default.isExecutableFile(atPath: "\(programs)/initdb")
  }

  private let directory: TemporaryDirectory
  let conninfo: String

  init() throws {
    directory = try TemporaryDirectory()
    conninfo = "host=\(directory.path) user=postgres dbname=postgres"
    if getuid() == 0 { try Self.run(["chown", "postgres", directory.path], asPostgres: false) }
    try Self.run(
      ["\(Self.programs)/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"])
    try start()
  }

  private var data: String { directory.path + "/data" }

  func start() throws {
    try Self.run([
      "\(Self.programs)/pg_ctl", "start", "-w", "-D", data, "-l", directory.path + "/log", "-o",
      "-c listen_addresses='' -c unix_socket_directories='\(directory.path)' "
        + "-c TimeZone=Asia/Tokyo",
    ])
  }

  /// `immediate` is a crash: nothing is written on the way out.
  func stop(_ mode: String = "immediate") throws {
    try Self.run(["\(Self.programs)/pg_ctl", "stop", "-w", "-m", mode, "-D", data])
  }

  /// Not Foundation's Process: it waits for whoever inherits its socket, and so for the server.
  private static func run(_ command: [String], asPostgres: Bool = true) throws {
    let words = (getuid() == 0 && asPostgres ? ["runuser", "-u", "postgres", "--"] : []) + command
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor in 0...2 as ClosedRange<Int32> {
      posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
    }
    let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    let settings = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
    let variables: [UnsafeMutablePointer<CChar>?] = settings.map { strdup($0) } + [nil]
    defer { for string in arguments + variables { free(string) } }
    var pid: pid_t = 0
    let failure = posix_spawnp(&pid, words[0], &actions, nil, arguments, variables)
    guard failure == 0 else { throw Failed(command: words) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    guard status == 0 else { throw Failed(command: words) }
  }

  struct Failed: Error { var command: [String] }
}

/// A server for all tests of a suite.
struct WithPostgres: SuiteTrait, TestScoping {
  @TaskLocal static var server: ThrowawayPostgres?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let server = try ThrowawayPostgres()
    defer { try? server.stop() }
    try await Self.$server.withValue(server) { try await function() }
  }
}
