internal import Broker
internal import LocalCluster
internal import Platform

/// The nodes of the demonstration, if they are several, and what is done to them: one is killed in
/// the middle, stays away for a while, comes back and catches up.
final class DemoCluster {
  /// How long all nodes may take to find each other.
  private static let startMilliseconds: Int64 = 60_000
  /// How long the killed node is away, so that it is seen.
  private static let awayMilliseconds: Int64 = 3000
  private static let eventsMax = 20

  /// What became of it.
  private(set) var failover: DemoReport.Failover?
  private(set) var events: [(time: String, text: String)] = []
  private let cluster: LocalCluster
  private let members: [ClusterMember]
  private let terminal: DemoTerminal
  /// How often one was killed.
  private(set) var kills = 0
  /// Of the one that is away, or was last.
  private var killedAt: Int64?
  private var isAway = false

  /// Starts `count` nodes with their data in `directory`; the first listens at `listen`, if it and
  /// those that follow are free.
  init(
    _ count: Int, _ directory: String, listen: SocketAddress, executable: String,
    _ terminal: DemoTerminal
  ) throws(ProcessError) {
    self.terminal = terminal
    members = try Self.members(count, listen)
    var options = LocalCluster.Options(directory: directory, members: members)
    options.settings = ["num.partitions=6"]
    options.executable = executable
    cluster = try LocalCluster(options)
  }

  private static func members(
    _ count: Int, _ listen: SocketAddress
  ) throws(ProcessError) -> [ClusterMember] {
    if Int(listen.port) + count <= 65_535 - Int(LocalCluster.peerPortStep), listen.port > 0 {
      let wanted = ClusterMember.consecutive(count, from: listen)
      if LocalCluster.areFree(wanted) { return wanted }
    }
    guard let ports = Socket.freePorts(2 * count) else {
      throw ProcessError("There are not enough free ports for \(count) nodes.")
    }
    return (0..<count).map { index in
      ClusterMember(
        id: Int32(index + 1), client: SocketAddress(host: listen.host, port: ports[2 * index]),
        peer: SocketAddress(host: listen.host, port: ports[2 * index + 1]))
    }
  }

  var bootstrap: [String] { cluster.bootstrap }
  var rows: [ClusterWatch.Row] { cluster.watch.rows }
  var isWhole: Bool { cluster.watch.isWhole }

  /// Takes in what has happened.
  func turn() throws(ProcessError) {
    if isAway, let killedAt, MonotonicClock.milliseconds() - killedAt >= Self.awayMilliseconds {
      isAway = false
      for member in members { cluster.release(member.id) }
    }
    for event in try cluster.turn() {
      note(event)
      events = (events + [(Console.timeOfDay(), event.text)]).suffix(Self.eventsMax)
      terminal.say(event)
    }
  }

  /// Blocks until all nodes take clients.
  func waitUntilWhole() throws(ProcessError) {
    let limit = MonotonicClock.milliseconds() + Self.startMilliseconds
    let pause = Condition(())
    while !isWhole {
      try turn()
      guard MonotonicClock.milliseconds() < limit else {
        throw ProcessError(
          "The \(members.count) nodes did not find each other; their logs say why: "
            + "\(members.map { cluster.log(of: $0.id) }.joined(separator: ", ")).")
      }
      // Their pages are asked for by other threads.
      pause.wait(until: { _ in false }, milliseconds: 10) { _ in }
    }
  }

  private func note(_ event: ClusterEvent) {
    switch event {
    case .moved(from: failover?.node, let count, to: _, let milliseconds, isAtMost: _):
      failover?.moved = count
      failover?.milliseconds = milliseconds
    case .caughtUp(node: failover?.node, let milliseconds):
      failover?.caughtUpMilliseconds = milliseconds
    default: break
    }
  }

  /// Kills one as `kill -9` does, if all are whole: who leads the most, but the first, whose
  /// address people were told.
  func killOne() {
    guard !isAway, isWhole else { return }
    let others = rows.dropFirst().filter { $0.state == .up }
    guard let chosen = others.max(by: { ($0.leads ?? 0) < ($1.leads ?? 0) }) else { return }
    killedAt = MonotonicClock.milliseconds()
    isAway = true
    kills += 1
    failover = DemoReport.Failover(node: chosen.node)
    cluster.hold(chosen.node)
    cluster.kill(chosen.node)
  }

  func stop() { cluster.stop() }
}
