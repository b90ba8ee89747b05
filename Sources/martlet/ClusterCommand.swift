internal import Broker
internal import Platform

/// `martlet cluster`: the nodes of one host, each a process with its own directory and consecutive
/// ports, started, watched and started again until a signal ends them all.
struct ClusterCommand {
  /// A node's process, and when it was started.
  private final class Member {
    let node: ClusterMember
    let directory: String
    let http: SocketAddress?
    var process: ChildProcess?
    var startedAt: Int64 = 0

    init(_ node: ClusterMember, _ directory: String, _ http: SocketAddress?) {
      self.node = node
      self.directory = directory
      self.http = http
    }
  }

  /// Between a client's port and the port of the other nodes.
  private static let peerPortStep: UInt16 = 10_000
  /// A node that ends is started again, but not more often than this.
  private static let restartMilliseconds: Int64 = 1000

  private let members: [Member]
  private let settings: [String]
  private let data: String

  init(_ arguments: Arguments) throws {
    try arguments.allow(["data", "nodes", "listen", "http", "set"])
    guard let data = try arguments.value("data") else {
      throw UsageError("--data says where the data is; give a directory.")
    }
    self.data = data
    let text = try arguments.value("nodes") ?? "3"
    guard let count = Int(text), count > 0, count <= 9, count % 2 == 1 else {
      throw UsageError(
        "--nodes is an odd number from 1 to 9, not '\(text)': of an even number, as many may fail "
          + "as of one less.")
    }
    let first =
      try Serve.address(arguments, "listen") ?? SocketAddress(host: "127.0.0.1", port: 9092)
    let http = try Serve.address(arguments, "http")
    guard Int(first.port) + count <= 65_535 - Int(Self.peerPortStep), first.port > 0 else {
      throw UsageError(
        "--listen takes the port of the first node, at most \(55_535 - count), because the nodes "
          + "listen for each other \(Self.peerPortStep) above.")
    }
    settings = try arguments.values("set")
    members = (0..<count).map { index in
      let port = first.port + UInt16(index)
      let node = ClusterMember(
        id: Int32(index + 1), client: SocketAddress(host: first.host, port: port),
        peer: SocketAddress(host: first.host, port: port + Self.peerPortStep))
      return Member(
        node, "\(data)/\(index + 1)",
        http.map { SocketAddress(host: $0.host, port: $0.port + UInt16(index)) })
    }
  }

  func run() throws {
    _ = try FileDisk(directory: data) {}
    for member in members { try start(member) }
    let signals = [Signals.terminate, Signals.interrupt, Signals.hangUp]
    while !Signals.wait(for: signals, milliseconds: 100) {
      for member in members where member.process?.isRunning != true {
        if let process = member.process {
          Terminal.log(
            "node \(member.node.id) has ended with \(process.wait()); see \(member.directory).log")
          member.process = nil
        }
        guard MonotonicClock.milliseconds() - member.startedAt >= Self.restartMilliseconds else {
          continue
        }
        try start(member)
      }
    }
    Terminal.log("stopping")
    for member in members { member.process?.terminate() }
    for member in members { member.process?.wait() }
    Terminal.log("stopped")
  }

  private func start(_ member: Member) throws {
    let node = member.node
    var words = [
      Console.executable, "serve", "--data", member.directory, "--node", "\(node.id)", "--listen",
      "\(node.client)",
    ]
    if members.count > 1 { words += ["--cluster", ClusterMembers.text(members.map(\.node))] }
    if let http = member.http { words += ["--http", "\(http)"] }
    for setting in settings { words += ["--set", setting] }
    member.startedAt = MonotonicClock.milliseconds()
    let process = try ChildProcess(words, output: "\(member.directory).log")
    member.process = process
    Terminal.log(
      "node \(node.id): process \(process.id), clients \(node.client), nodes \(node.peer), data "
        + "\(member.directory)")
  }
}
