package import LogStore
package import Platform

/// What a node is started with.
package struct NodeHostOptions: Sendable {
  package var directory: String
  package var nodeID: Int32 = 1
  /// Where Kafka clients connect; nil if only this process uses the node. A port of zero takes any
  /// that is free.
  package var listen: SocketAddress?
  /// What clients are told, if not `listen`.
  package var advertised: SocketAddress?
  /// Where /health and /metrics are, if anywhere.
  package var http: SocketAddress?
  /// All nodes of the cluster, this one among them; empty if it is alone.
  package var cluster: [ClusterMember] = []
  /// Broker settings, by Kafka's names.
  package var settings: [(String, String)] = []
  /// What /metrics says of what else runs in the process, behind what it says of the node. Called
  /// on any thread.
  package var metricsOfParts: @Sendable () -> String = { "" }
  /// How they are, for /health: a part that has ended for good is as bad as a node that has. Called
  /// on any thread.
  package var healthOfParts: @Sendable () -> Health = { Health() }

  package init(directory: String) { self.directory = directory }

  /// A batch is written to the journal in one piece, whose memory is bounded. Who has larger
  /// batches says so before the node starts; half a journal file is where it ends.
  package var store: LogStoreOptions {
    var store = LogStoreOptions()
    let asked = settings.last { $0.0 == "message.max.bytes" }.flatMap { Int($0.1) } ?? 0
    let bytesMax = Int(store.journal.fileBytes / 2)
    // The journal's own headers are far below a block.
    let needed = min(asked, bytesMax) + store.journal.blockBytes
    store.journal.groupBytesMax = min(max(store.journal.groupBytesMax, needed), bytesMax)
    return store
  }
}

/// Why a node does not start, in one sentence.
package struct NodeHostError: Error, Sendable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}

/// A node with everything around it: its directory, locked, the files, the store, the server, the
/// pages of its status. Made, run and stopped on one thread.
package final class HostedNode {
  package let loop: EventLoop
  package let localLink: LocalLink
  /// Where clients connect, if anywhere.
  package let port: UInt16?
  package var httpPort: UInt16? { http?.port }
  private let server: Server
  private let http: HTTPServer?

  /// `log` takes lines for people.
  package init(
    _ options: NodeHostOptions, log: @escaping (String) -> Void
  ) throws(NodeHostError) {
    try Self.refuseOwnOptions(options.settings)
    do {
      let loop = try EventLoop()
      let disk = try FileDisk(directory: options.directory) { [poster = loop.poster] in
        poster.wake()
      }
      guard disk.lockDirectory() else {
        throw NodeHostError(
          "Another process has \(options.directory) open; stop it or take another directory.")
      }
      try NodeIdentity.check(options.nodeID, on: disk, options.directory)
      let now = NodeTime.read()
      if options.cluster.count > 1, let path = try LogStore.setAsideDamagedStore(on: disk) {
        log(
          "the checkpoint in \(options.directory) is damaged; what this node had is in \(path), "
            + "and it gets everything from the other nodes")
      }
      let store = try LogStore.open(
        disk, options: options.store, newID: UInt64.random(in: 1 ... .max), now: now.wall)
      var nodeOptions = NodeOptions()
      nodeOptions.id = options.nodeID
      nodeOptions.cluster.members = options.cluster
      // The clock stands for a number that is counted up with every start.
      nodeOptions.cluster.boot = UInt64(max(0, now.wall))
      nodeOptions.apply(options.settings)
      let node = try Node(
        store: store, options: nodeOptions, file: options.settings,
        random: SystemRandomNumberGenerator(), now: now)
      node.journalLatency = { disk.durableWriteLatency }
      node.nanoseconds = { MonotonicClock.nanoseconds() }
      let server = Server(node: node, disk: disk, loop: loop, log: log)
      server.limits = ClientLimits(options.settings)
      port = try options.listen.map { try server.listen($0) }
      if let port, let listen = options.listen {
        let host = options.advertised?.host ?? Self.reachable(listen.host)
        node.advertise(host: host, port: options.advertised?.port ?? port)
      }
      if let own = options.cluster.first(where: { $0.id == options.nodeID }),
        options.cluster.count > 1
      {
        let network = try PeerNetwork(
          loop: loop, listen: own.peer,
          peers: options.cluster.map { PeerAddress(node: $0.id, address: $0.peer) },
          hello: node.peerHello, arrays: server.arrays, log: log)
        server.connect(network)
      }
      let pages = StatusPages.responder(
        for: node, through: loop.poster, and: options.metricsOfParts,
        health: options.healthOfParts)
      http = try options.http.map { try HTTPServer($0, pages) }
      self.server = server
      localLink = server.localLink
      self.loop = loop
    } catch let error as NodeHostError {
      throw error
    } catch LogError.noSpace(let why) {
      throw Self.full(options.directory, why)
    } catch DiskError.noSpace(let what) {
      throw Self.full(options.directory, "no space left for \(what)")
    } catch {
      throw NodeHostError("\(error)")
    }
  }

  private static func full(_ directory: String, _ why: String) -> NodeHostError {
    NodeHostError(
      "The disk of \(directory) is full: \(why); free space there and start again: nothing is "
        + "lost.")
  }

  /// Kafka's names of what is said when a node is started would change nothing here.
  private static func refuseOwnOptions(_ settings: [(String, String)]) throws(NodeHostError) {
    let own = [
      "listeners": "--listen ('listen' in a file)",
      "advertised.listeners": "--advertise ('advertise' in a file)",
      "node.id": "--node ('node' in a file)", "broker.id": "--node ('node' in a file)",
      "log.dirs": "--data ('data' in a file)",
    ]
    for (name, _) in settings {
      guard let option = own[name] else { continue }
      throw NodeHostError("'\(name)' is not a setting here; say it with \(option).")
    }
  }

  /// A client on this machine cannot connect to "any address".
  private static func reachable(_ host: String) -> String {
    ["0.0.0.0", "::"].contains(host) ? "127.0.0.1" : host
  }

  /// Serves until `stop`. The directory is free again when nobody holds the node any more.
  package func run() { loop.run() }

  /// Answers what it has, writes a checkpoint and ends `run`.
  package func stop() { server.stop() }
}

/// A node on a thread of its own, for a test or a command that does more than serving.
package final class NodeHost: Sendable {
  private enum State {
    case starting
    case failed(NodeHostError)
    case serving(Serving)
    case ended
  }

  private struct Serving {
    var stopper: Stopper
    var mailbox: Mailbox
    var link: LocalLink
    var port: UInt16?
    var httpPort: UInt16?
  }

  private final class Stopper: @unchecked Sendable {
    // Used on the node's thread only, where the message that carries it runs.
    weak var node: HostedNode?
    init(_ node: HostedNode) { self.node = node }
  }

  private let state: Condition<State>
  private let stopper: Stopper
  private let mailbox: Mailbox
  /// For clients in this process.
  package let localLink: LocalLink
  /// Where clients connect, if anywhere.
  package let port: UInt16?
  package let httpPort: UInt16?

  /// Starts a node; returns when it serves. `log` takes lines for people, on the node's thread.
  package init(
    _ options: NodeHostOptions, log: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(NodeHostError) {
    let state = Condition(State.starting)
    self.state = state
    Thread.start("martlet-node") {
      let end = NodeHost.serve(options, log, state)
      // Behind `serve`, so that the node is gone and its directory free.
      state.withLock { $0 = end }
      state.broadcast()
    }
    let isStarted: (State) -> Bool = { if case .starting = $0 { false } else { true } }
    switch state.wait(until: isStarted, { $0 }) {
    case .serving(let serving):
      stopper = serving.stopper
      mailbox = serving.mailbox
      localLink = serving.link
      port = serving.port
      httpPort = serving.httpPort
    case .failed(let error): throw error
    case .starting, .ended: fatalError("a node ended before it was told to")
    }
  }

  private static func serve(
    _ options: NodeHostOptions, _ log: @escaping @Sendable (String) -> Void,
    _ state: Condition<State>
  ) -> State {
    do throws(NodeHostError) {
      let node = try HostedNode(options, log: log)
      let serving = Serving(
        stopper: Stopper(node), mailbox: node.loop.poster, link: node.localLink, port: node.port,
        httpPort: node.httpPort)
      state.withLock { $0 = .serving(serving) }
      state.broadcast()
      node.run()
      return .ended
    } catch {
      return .failed(error)
    }
  }

  /// Stops the node, if it runs, and returns when its directory is free. Not for the node's thread.
  package func stop() {
    mailbox.post { [stopper] in stopper.node?.stop() }
    let hasEnded: (State) -> Bool = { if case .ended = $0 { true } else { false } }
    state.wait(until: hasEnded) { _ in }
  }
}
