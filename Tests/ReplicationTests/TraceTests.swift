import Bytes
import Foundation
import Replication
import Testing

/// A cluster that does what a script says, one thing at a time, and writes down all that happens.
///
///     began N, campaign N
///     tick N [TIMES]         time goes by for a replica
///     deliver [A B]          what A has sent to B arrives (without names, what all have sent,
///                            until nothing is on its way)
///     drop A B               it does not
///     flush N [OPERATIONS]   the disk writes what it was given
///     append N [RECORDS]     the leader appends
///     crash N, restart N     without what the disk had not written
///     lost N PEER, found N PEER  the connection breaks, is there again
///     idle N...              time goes by for all, and messages arrive, until all are quiet
///     quiet                  who is
///     fence N                its disk is in doubt
///     yields N 1|0           its disk has no room, has room again
///     transfer N TO          leadership is to go there
///     limit ENTRIES          that go into one message
///     report N               what group 0 is told
///     told N VERSION VOTERS [LEARNERS]  a membership, to one of them
///     renew N VERSION        its log is lost, and it is a member again since that version
///     read N, start N OFFSET, members VERSION VOTERS [LEARNERS], log N
final class TraceCluster: ModelCluster {
  private(set) var lines: [String] = []
  private var reads: UInt64 = 0

  init(nodes: Int, _ planted: Planted = .init()) {
    super.init(nodes: nodes, seed: 1, planted: planted)
    entriesMax = 50
    note = { [unowned self] replica, input, effects in
      if case .sent = input, effects.isEmpty { return }
      if input == .tick, effects.isEmpty { return }
      lines.append("\(replica.rawValue) \(TraceText.input(input))")
      lines += effects.map { "    \(TraceText.effect($0))" }
    }
  }

  override func send(_ message: Message) { network.append(Flight(message: message, due: .max)) }

  private func take(_ from: NodeID, _ to: NodeID) -> [Message] {
    let taken = network.filter { $0.message.from == from && $0.message.to == to }.map(\.message)
    network.removeAll { $0.message.from == from && $0.message.to == to }
    return taken
  }

  func run(_ command: String) -> [String] {
    lines = []
    let words = command.split(separator: " ").map(String.init)
    let numbers = words.dropFirst().compactMap { Int32($0) }
    let replica = numbers.first.flatMap { number in replicas.first { $0.id == NodeID(number) } }
    let second = numbers.dropFirst().first
    let times = Int(second ?? 1)
    switch (words.first, replica) {
    case ("began", let replica?): step(replica, .began)
    case ("campaign", let replica?): step(replica, .campaign)
    case ("fence", let replica?): step(replica, .fenced)
    case ("yields", let replica?): step(replica, .yields(second == 1))
    case ("tick", let replica?): for _ in 0..<times { step(replica, .tick) }
    case ("deliver", let replica?):
      for message in take(replica.id, NodeID(second ?? 0)) {
        step(self[message.to], .received(message))
      }
    case ("deliver", nil):
      deliver()
    case ("drop", let replica?): _ = take(replica.id, NodeID(second ?? 0))
    case ("flush", let replica?):
      for _ in 0..<(second == nil ? replica.queue.count : times) {
        for input in replica.flushOne(mistakes) { step(replica, input) }
      }
    case ("append", let replica?): for _ in 0..<times { append(replica) }
    case ("crash", let replica?): replica.isUp = false
    case ("restart", let replica?):
      replica.isUp = true
      replica.begin(membership, joined: 0, seed: 2)
    case ("found", let replica?): step(replica, .peerFound(NodeID(second ?? 0)))
    case ("idle", _): idle(numbers.map { NodeID($0) })
    case ("quiet", _):
      let quiet = replicas.filter { $0.isUp && $0.raft.isQuiet }.map { "\($0.id.rawValue)" }
      lines.append("    quiet: \(quiet.isEmpty ? "nobody" : quiet.joined(separator: ", "))")
    case ("lost", let replica?): step(replica, .peerLost(NodeID(second ?? 0)))
    case ("transfer", let replica?): step(replica, .transfer(second.map { NodeID($0) }))
    case ("read", let replica?):
      reads += 1
      step(replica, .read(reads))
    case ("start", let replica?):
      let offset = Offset(Int64(second ?? 0))
      replica.order(.start(offset))
      step(replica, .startAdvanced(offset))
    case ("limit", _): entriesMax = Int(numbers.first ?? 1)
    case ("members", _): change(words, replicas)
    case ("told", let replica?): change(Array(words.dropFirst()), [replica])
    case ("renew", let replica?):
      replica.loseLog()
      replica.begin(membership, joined: Int64(second ?? 0), seed: 3)
    case ("log", let replica?): show(replica)
    case ("report", let replica?): report(replica)
    case ("status", let replica?):
      for peer in replica.raft.status.peers {
        let match = peer.match.map { TraceText.position($0) } ?? "nothing"
        lines.append("    \(peer.node.rawValue) has \(match)")
      }
    default: lines.append("?")
    }
    return lines + problems
  }

  /// Only what is said at last is worth reading.
  private func idle(_ nodes: [NodeID]) {
    for _ in 0..<100 where !nodes.allSatisfy({ self[$0].raft.isQuiet }) {
      lines = []
      for node in nodes { step(self[node], .tick) }
      deliver()
    }
  }

  private func deliver() {
    // Who would go on for ever, has a mistake.
    for _ in 0..<200 where !network.isEmpty {
      let message = network.removeFirst().message
      step(self[message.to], .received(message))
    }
  }

  /// Whoever believes to lead, whether it may or not.
  private func append(_ replica: ModelReplica) {
    let end = replica.log.end.offset + 1
    replica.order(.append([ModelEntry(epoch: replica.raft.epoch, end: end, value: nextValue)]))
    nextValue += 1
    step(replica, .appended(replica.log.end))
  }

  private func change(_ words: [String], _ told: [ModelReplica]) {
    let lists = words.dropFirst(2).map { $0.split(separator: ",").compactMap { Int32($0) } }
    let membership = Membership(
      version: Int64(words[1]) ?? 0, voters: lists[0].map { NodeID($0) },
      learners: lists.count > 1 ? lists[1].map { NodeID($0) } : [])
    groupZero.issue(membership, self)
    for replica in told { step(replica, .membership(membership)) }
  }

  private func report(_ replica: ModelReplica) {
    let version = replica.raft.commitVersion.map { "v\($0)" } ?? "none"
    let caughtUp = replica.raft.caughtUp.map { "\($0.rawValue)" }.joined(separator: ",")
    lines.append(
      "    committed under \(version), v\(replica.raft.membership.version) is "
        + (replica.raft.isAdoptedByMajority ? "" : "not ") + "adopted"
        + (caughtUp.isEmpty ? "" : ", caught up: \(caughtUp)"))
  }

  private func show(_ replica: ModelReplica) {
    let log = replica.log.entries.map {
      ($0.value == nil ? "start " : "") + TraceText.position($0.position)
    }
    lines.append("    log \(log.joined(separator: ", "))")
    lines.append(
      "    durable \(TraceText.position(replica.raft.durable)), committed "
        + TraceText.position(replica.raft.committed))
  }
}

/// Each file in Data is a conversation: lines after `>` are commands, the others what must follow,
/// to the letter. `MARTLET_REWRITE=1` writes what did, to be read as a diff.
struct Conversation {
  var file: URL
  var expected: String
  var found: String
  var problems: [String]

  static var files: [URL] {
    let data = Bundle.module.resourceURL?.appendingPathComponent("Data")
    let all = data.flatMap {
      try? FileManager.default.contentsOfDirectory(at: $0, includingPropertiesForKeys: nil)
    }
    return (all ?? []).sorted { $0.path < $1.path }
  }

  init(_ file: URL, _ planted: Planted = .init()) throws {
    self.file = file
    expected = try String(contentsOf: file, encoding: .utf8)
    var cluster = TraceCluster(nodes: 3, planted)
    var lines: [String] = []
    for line in expected.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("#") || line.isEmpty { lines.append(String(line)) }
      guard line.hasPrefix("> ") else { continue }
      lines.append(String(line))
      if line.hasPrefix("> nodes ") {
        cluster = TraceCluster(nodes: Int(line.dropFirst(8)) ?? 3, planted)
      } else {
        lines += cluster.run(String(line.dropFirst(2)))
      }
    }
    found = lines.joined(separator: "\n")
    problems = cluster.problems
  }
}

@Suite struct `Replicas in known trouble` {
  @Test(arguments: Conversation.files)
  func `do what is written`(file: URL) throws {
    let conversation = try Conversation(file)
    if ProcessInfo.processInfo.environment["MARTLET_REWRITE"] == "1" {
      let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Data/\(file.lastPathComponent)")
      try conversation.found.write(to: source, atomically: true, encoding: .utf8)
    }
    #expect(conversation.found == conversation.expected)
    #expect(conversation.problems == [])
  }
}
