package import Broker
package import Platform

// LocalCluster: the nodes of a cluster on one host, each a process.
//
//     LocalCluster   starts them, watches them, starts them again
//     NodePoll       asks a node's page, on a thread
//     NodeGlance     what the page says
//     ClusterWatch   what that means: states and events; a value
//     ClusterScreen  how people see it

/// The nodes of a cluster on this host: each a process with its own directory, started, watched,
/// and started again when it ends. One owner: it is not for several threads.
package final class LocalCluster {
  package struct Options {
    /// The nodes' data is in `DIRECTORY/1`, ..., and what they say in `DIRECTORY/1.log`, ...
    package var directory: String
    package var members: [ClusterMember]
    /// Where the nodes' pages are, in the order of the members; a free port if they are nowhere.
    package var pages: [SocketAddress]?
    /// Broker settings, NAME=VALUE.
    package var settings: [String] = []
    /// The `martlet` that is started.
    package var executable = Console.executable

    package init(directory: String, members: [ClusterMember]) {
      self.directory = directory
      self.members = members
    }
  }

  private final class Member {
    let node: ClusterMember
    let directory: String
    let poll: NodePoll
    var process: ChildProcess?
    var startedAt: Int64 = 0

    init(_ node: ClusterMember, _ directory: String, _ poll: NodePoll) {
      self.node = node
      self.directory = directory
      self.poll = poll
    }
  }

  /// What other threads have found, in the order in which it was.
  private enum News {
    case ended(node: Int32, process: Int32)
    case page(node: Int32, NodeGlance?)
  }

  /// Between a client's port and the port of the other nodes.
  package static let peerPortStep: UInt16 = 10_000
  /// A node that ends is started again, but not more often than this.
  private static let restartMilliseconds: Int64 = 1000

  private let options: Options
  private let members: [Member]
  private let news: Condition<[(at: Int64, News)]>
  private var held: Set<Int32> = []
  package private(set) var watch: ClusterWatch

  /// Starts the nodes. Call it and `turn` on the main thread: when that ends, in whatever way, the
  /// nodes are killed. Nobody would look after them, and their ports and files would be taken.
  package init(_ options: Options) throws(ProcessError) {
    self.options = options
    let news = Condition<[(at: Int64, News)]>([])
    self.news = news
    members = options.members.map { node in
      let poll = NodePoll { glance in
        let at = MonotonicClock.milliseconds()
        news.withLock { $0.append((at, .page(node: node.id, glance))) }
      }
      return Member(node, "\(options.directory)/\(node.id)", poll)
    }
    watch = ClusterWatch(options.members.map { ($0.id, "\($0.client)") })
    do throws(ProcessError) {
      for member in members { _ = try start(member) }
    } catch {
      stop()
      throw error
    }
  }

  deinit { for member in members { member.poll.stop() } }

  /// The processes, their addresses and their data.
  package var places: [String] {
    members.map { member in
      "node \(member.node.id): process \(member.process?.id ?? 0), clients \(member.node.client), "
        + "nodes \(member.node.peer), data \(member.directory)"
    }
  }

  /// Where a client finds any of them.
  package var bootstrap: [String] { options.members.map { "\($0.client)" } }

  /// The log of a node's process.
  package func log(of node: Int32) -> String { "\(options.directory)/\(node).log" }

  // MARK: Turn

  /// Takes in what has happened since the last call, and starts again what has ended. Does not
  /// block.
  package func turn() throws(ProcessError) -> [ClusterEvent] {
    var events: [ClusterEvent] = []
    let found = news.withLock { news in
      defer { news = [] }
      return news
    }
    for (at, item) in found {
      guard let input = input(item) else { continue }
      events += watch.take(input, at: at)
    }
    let now = MonotonicClock.milliseconds()
    for member in members where member.process == nil && !held.contains(member.node.id) {
      guard now - member.startedAt >= Self.restartMilliseconds else { continue }
      events += try start(member)
    }
    let isUnsettled = watch.isUnsettled(at: now)
    for member in members { member.poll.hurry(isUnsettled) }
    return events
  }

  private func input(_ item: News) -> ClusterWatch.Input? {
    switch item {
    case .page(let node, let glance):
      return glance.map { .seen(node: node, $0) } ?? .unanswered(node: node)
    case .ended(let node, let id):
      guard let member = members.first(where: { $0.node.id == node }),
        let process = member.process, process.id == id
      else { return nil }
      member.process = nil
      member.poll.look(at: nil)
      return .ended(node: node, status: process.wait())
    }
  }

  private func start(_ member: Member) throws(ProcessError) -> [ClusterEvent] {
    let node = member.node
    let page = try page(of: node)
    var words = [
      options.executable, "serve", "--data", member.directory, "--node", "\(node.id)", "--listen",
      "\(node.client)", "--http", "\(page)",
    ]
    if members.count > 1 { words += ["--cluster", ClusterMember.text(options.members)] }
    for setting in options.settings { words += ["--set", setting] }
    member.startedAt = MonotonicClock.milliseconds()
    let process = try ChildProcess(words, output: log(of: node.id), endsWithThread: true)
    member.process = process
    member.poll.look(at: page)
    process.whenEnded { [news, id = process.id] in
      let at = MonotonicClock.milliseconds()
      news.withLock { $0.append((at, .ended(node: node.id, process: id))) }
    }
    return watch.take(.started(node: node.id, process: process.id), at: member.startedAt)
  }

  /// One that nobody was told of is a free port, another one at each start.
  private func page(of node: ClusterMember) throws(ProcessError) -> SocketAddress {
    if let pages = options.pages, let index = options.members.firstIndex(of: node) {
      return pages[index]
    }
    guard let port = Socket.freePorts(1)?.first else {
      throw ProcessError("No port is free for the page of node \(node.id).")
    }
    return SocketAddress(host: "127.0.0.1", port: port)
  }

  /// Nobody listens where the nodes of `members` are to.
  package static func areFree(_ members: [ClusterMember]) -> Bool {
    members.flatMap { [$0.client, $0.peer] }.allSatisfy { (try? Socket.listen($0)) != nil }
  }

  // MARK: Ends

  /// Ends a node's process as `kill -9` does; it is started again, unless it is held.
  package func kill(_ node: Int32) {
    members.first { $0.node.id == node }?.process?.kill()
  }

  /// A node that ends is left so until it is released.
  package func hold(_ node: Int32) { held.insert(node) }
  package func release(_ node: Int32) { held.remove(node) }

  /// Ends them all, as a supervisor does, and waits for that.
  package func stop() {
    for member in members { member.poll.stop() }
    for member in members { member.process?.terminate() }
    for member in members { member.process?.wait() }
  }
}

extension ClusterMember {
  /// Nodes 1, 2, ... of a host, whose ports follow one another.
  package static func consecutive(_ count: Int, from first: SocketAddress) -> [ClusterMember] {
    (0..<count).map { index in
      let port = first.port + UInt16(index)
      return ClusterMember(
        id: Int32(index + 1), client: SocketAddress(host: first.host, port: port),
        peer: SocketAddress(host: first.host, port: port + LocalCluster.peerPortStep))
    }
  }

  /// As `martlet serve --cluster` takes them.
  static func text(_ members: [ClusterMember]) -> String {
    members.map { "\($0.id)@\($0.client)/\($0.peer.port)" }.joined(separator: ",")
  }
}
