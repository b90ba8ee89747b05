internal import Broker
internal import LocalCluster
internal import Platform

/// `martlet cluster`: the nodes of one host, each a process with its own directory and consecutive
/// ports, started, watched and started again until a signal ends them all. On a terminal they are
/// shown, and what happens; elsewhere what happens is a line each.
struct ClusterCommand {
  private static let refreshMilliseconds: Int64 = 100
  /// A screen is as high as the smallest terminal.
  private static let screenLines = 24
  private static let eventsMax = 50

  private let options: LocalCluster.Options

  init(_ arguments: Arguments) throws {
    try arguments.allow(["data", "nodes", "listen", "http", "set"])
    guard let data = try arguments.value("data") else {
      throw UsageError("--data says where the data is; give a directory.")
    }
    let text = try arguments.value("nodes") ?? "3"
    guard let count = Int(text), count > 0, count <= 9, count % 2 == 1 else {
      throw UsageError(
        "--nodes is an odd number from 1 to 9, not '\(text)': of an even number, as many may fail "
          + "as of one less.")
    }
    let first =
      try Serve.address(arguments, "listen") ?? SocketAddress(host: "127.0.0.1", port: 9092)
    let step = LocalCluster.peerPortStep
    guard Int(first.port) + count <= 65_535 - Int(step), first.port > 0 else {
      throw UsageError(
        "--listen takes the port of the first node, at most \(55_535 - count), because the nodes "
          + "listen for each other \(step) above.")
    }
    var options = LocalCluster.Options(
      directory: data, members: ClusterMember.consecutive(count, from: first))
    let http = try Serve.address(arguments, "http")
    guard Int(http?.port ?? 0) + count <= 65_535, http?.port != 0 else {
      throw UsageError("--http takes the port of the first node's page, at most \(65_535 - count).")
    }
    if let http {
      let members = options.members.flatMap { [$0.client.port, $0.peer.port] }
      let pages = http.port...(http.port + UInt16(count - 1))
      if let both = members.first(where: pages.contains) {
        throw UsageError(
          "--http \(http) gives pages the ports \(pages.lowerBound) to \(pages.upperBound), and "
            + "--listen \(first) gives \(both) to a node; the nodes listen for clients from "
            + "\(first.port) on, and for each other \(step) above that.")
      }
    }
    options.pages = http.map { http in
      (0..<count).map { SocketAddress(host: http.host, port: http.port + UInt16($0)) }
    }
    options.settings = try arguments.values("set")
    self.options = options
  }

  func run() throws {
    _ = try FileDisk(directory: options.directory) {}
    let live = Console.isTerminal ? LiveTerminal() : nil
    // Also when something is thrown: the terminal is as it was, and no node goes on.
    defer { live?.end() }
    let cluster = try LocalCluster(options)
    var events: [(time: String, text: String)] = []
    func tell(_ text: String) {
      guard live != nil else { return Terminal.log(text) }
      events = (events + [(Console.timeOfDay(), text)]).suffix(Self.eventsMax)
    }
    func show() {
      let above = options.members.count + 4
      live?.show(
        ClusterScreen.lines(
          cluster.watch, directory: options.directory, events: events,
          eventLines: max(3, Self.screenLines - above - 1)))
    }
    for place in cluster.places { tell(place) }
    let signals = [Signals.terminate, Signals.interrupt, Signals.hangUp]
    show()
    defer {
      tell("stopping")
      show()
      cluster.stop()
      tell("stopped")
      show()
    }
    while !Signals.wait(for: signals, milliseconds: Self.refreshMilliseconds) {
      for event in try cluster.turn() { tell(sentence(event, cluster)) }
      show()
    }
  }

  private func sentence(_ event: ClusterEvent, _ cluster: LocalCluster) -> String {
    guard case .ended(let node, _) = event else { return event.text }
    return "\(event.text); see \(cluster.log(of: node))"
  }
}
