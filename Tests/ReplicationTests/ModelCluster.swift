import Bytes
import Replication
import Testing

/// Whose mistakes are to be found.
struct Planted {
  var replica: PlantedMistakes = []
  var driver: DriverMistakes = []
}

/// Replicas, the network between them, and what must be true of them after every event.
class ModelCluster {
  struct Flight {
    var message: Message
    var due: Int
    /// Of the receiver: what it was sent is not for who comes after it.
    var life = 0
  }

  var random: SeededGenerator
  let groupZero = ModelGroupZero()
  var membership: Membership { groupZero.latest.membership }
  var replicas: [ModelReplica] = []
  var network: [Flight] = []
  var cuts = Cuts()
  var now = 0
  var lossPercent = 0
  /// Some messages come much later than those that were sent after them.
  var isDisorderly = true
  /// All that was ever committed.
  var committed: [ModelEntry] = []
  /// The epoch in which each was first known to be.
  var committedIn: [LeaderEpoch] = []
  var leaders: [LeaderEpoch: NodeID] = [:]
  var nextValue: UInt64 = 1
  var resets: [[ModelEntry]] = []
  var readsIssued: [UInt64: Offset] = [:]
  var readsAnswered = 0
  var problems: [String] = []
  var elections = 0
  /// What happens, for who wants to see it.
  var note: ((_ replica: NodeID, _ input: Input, _ effects: [Effect]) -> Void)?
  /// Entries in one message at most; random if nil.
  var entriesMax: Int?
  var mistakes: DriverMistakes
  let liveness: ModelLiveness

  /// What happened, if it is wanted.
  var story: [String] = []

  init(nodes: Int, voters: Int? = nil, seed: UInt64, planted: Planted = .init()) {
    random = SeededGenerator(seed: seed)
    mistakes = planted.driver
    var options = Raft.Options()
    options.planted = planted.replica
    liveness = ModelLiveness(nodes: nodes)
    let all = (1...Int32(nodes)).map { NodeID($0) }
    let membership = Membership(version: 1, voters: Array(all.prefix(voters ?? nodes)))
    for node in all {
      replicas.append(
        ModelReplica(id: node, membership: membership, options: options, seed: random.next()))
    }
    for replica in replicas.dropFirst(voters ?? nodes) { replica.isPresent = false }
    groupZero.issue(membership, self)
    tellStory()
  }

  func problem(_ text: String) { problems.append("at \(now): \(text)") }

  subscript(_ id: NodeID) -> ModelReplica { replicas[Int(id.rawValue) - 1] }

  // MARK: Events

  func step(_ replica: ModelReplica, _ input: Input) {
    guard replica.isHere else { return }
    var effects: [Effect] = []
    replica.raft.step(input, into: &effects)
    note?(replica.id, input, effects)
    for effect in effects { perform(effect, replica) }
    guard replica.raft.isFenced || replica.raft.end == replica.log.end else {
      return problem(
        "\(replica.id) thinks its log ends at \(replica.raft.end), not \(replica.log.end)")
    }
  }

  private func perform(_ effect: Effect, _ replica: ModelReplica) {
    switch effect {
    case .send(let message): send(message)
    case .recordVote(let vote): replica.order(.vote(vote))
    case .truncate(let position):
      guard replica.log.count(of: position) != nil else {
        return problem("\(replica.id) truncates to \(position), which it does not have")
      }
      replica.order(.truncate(position))
    case .write(let entries, let from): write(entries, from, replica)
    case .beginEpoch(let epoch):
      replica.order(.append([ModelEntry(epoch: epoch, end: replica.log.end.offset, value: nil)]))
    case .reset(let request):
      let number = request.state.reduce(0) { $0 << 8 | Int($1) }
      replica.order(.reset(resets[number], request.start.offset))
    case .replicate(let peer, let after, _): replicate(replica, to: peer, after)
    case .sendReset(let peer, let start): sendReset(replica, to: peer, start)
    case .committed(let position): noteCommitted(position, replica)
    case .advanceStart(let offset): replica.order(.start(offset))
    case .elected(let epoch):
      elections += 1
      if let other = leaders[epoch], other != replica.id {
        problem("\(other) and \(replica.id) both lead epoch \(epoch.rawValue)")
      }
      leaders[epoch] = replica.id
      // What a later leader has committed, an earlier one who is late need not have.
      let count = committedIn.firstIndex { $0 >= epoch } ?? committed.count
      if replica.log.entries.prefix(count) != committed.prefix(count) {
        problem("\(replica.id) leads epoch \(epoch.rawValue) without all that is committed")
      }
    case .ready(let epoch):
      let count = committedIn.firstIndex { $0 >= epoch } ?? committed.count
      guard let last = committed.prefix(count).last else { break }
      if replica.raft.committed < last.position {
        problem("\(replica.id) is ready and does not know that \(last.position) is committed")
      }
    case .leaderChanged: break
    case .answerRead(let token, let offset):
      guard let least = readsIssued.removeValue(forKey: token) else { return }
      guard let offset else { return }
      readsAnswered += 1
      if offset < least { problem("a read found \(offset.rawValue), below \(least.rawValue)") }
    case .damaged(let why): problem("\(replica.id): \(why)")
    }
  }

  private func write(_ entries: [Entry], _ from: Offset, _ replica: ModelReplica) {
    var new: [ModelEntry] = []
    for entry in entries {
      if entry.bytes.isEmpty {
        new.append(ModelEntry(epoch: entry.epoch, end: entry.end, value: nil))
        continue
      }
      let count = entry.bytes.count / 8
      for index in 0..<count {
        let end = entry.end - Int64(count - 1 - index)
        guard end > from else { continue }
        let first = entry.bytes.startIndex + index * 8
        let value = entry.bytes[first..<first + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        new.append(ModelEntry(epoch: entry.epoch, end: end, value: value))
      }
    }
    var end = replica.log.end.offset
    for entry in new {
      guard entry.end == (entry.value == nil ? end : end + 1) else {
        return problem("\(replica.id) writes \(entry.end) behind \(end)")
      }
      end = entry.end
    }
    replica.order(.append(new))
  }

  private func replicate(_ replica: ModelReplica, to peer: NodeID, _ after: LogPosition) {
    guard let first = replica.log.count(of: after) else {
      return problem("\(replica.id) is to send what follows \(after), which it does not have")
    }
    let count = entriesMax ?? [50, 1, 2, 3, 4, 5][random.below(6)]
    let end = min(replica.log.entries.count, first + count)
    var entries: [Entry] = []
    for entry in replica.log.entries[first..<end] {
      guard let value = entry.value else {
        entries.append(Entry(epoch: entry.epoch, end: entry.end, bytes: []))
        continue
      }
      let bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
      if let last = entries.last, last.epoch == entry.epoch, !last.bytes.isEmpty {
        entries[entries.count - 1].bytes += bytes
        entries[entries.count - 1].end = entry.end
      } else {
        entries.append(Entry(epoch: entry.epoch, end: entry.end, bytes: bytes[...]))
      }
    }
    send(replica.raft.append(to: peer, after: after, entries))
    let sent = Sent(
      to: peer, epoch: replica.raft.epoch, after: after, through: entries.last?.position ?? after,
      bytes: entries.reduce(0) { $0 + $1.bytes.count })
    step(replica, .sent(sent))
  }

  private func sendReset(_ replica: ModelReplica, to peer: NodeID, _ start: LogPosition) {
    guard let count = replica.log.count(of: start) else {
      return problem("\(replica.id) starts at \(start), which it does not have")
    }
    resets.append(Array(replica.log.entries.prefix(count)))
    var history = EpochHistory()
    for entry in replica.raft.history.entries where entry.epoch <= start.epoch {
      history.begin(entry.epoch, at: entry.start)
    }
    let number = resets.count - 1
    let state = [UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)]
    send(
      Message(
        from: replica.id, to: peer, version: replica.raft.membership.version,
        epoch: replica.raft.epoch,
        body: .reset(ResetRequest(start: start, history: history, state: state[...]))))
  }

  private func noteCommitted(_ position: LogPosition, _ replica: ModelReplica) {
    guard let count = replica.log.count(of: position) else {
      return problem("\(replica.id) commits \(position), which it does not have")
    }
    let prefix = Array(replica.log.entries.prefix(count))
    let both = min(count, committed.count)
    if prefix[..<both] != committed[..<both] {
      problem("\(replica.id) commits up to \(position) what others have committed differently")
    }
    guard count > committed.count else { return }
    committed = prefix
    let epochs = repeatElement(replica.raft.epoch, count: count - committedIn.count)
    committedIn.append(contentsOf: epochs)
    // Who was there and lost it has had it, for all that is known.
    let membership = replica.raft.membership
    let holders = membership.voters.filter {
      self[$0].disk.count(of: position) != nil || self[$0].life > 0
    }
    if replica.raft.isLeader, holders.count < membership.quorum {
      problem("\(position) is committed on the disks of \(holders.map(\.rawValue)) only")
    }
  }

  // MARK: Network

  func send(_ message: Message) {
    guard !cuts.contains(from: message.from, to: message.to), random.below(100) >= lossPercent
    else { return }
    let copies = lossPercent > 0 && random.oneIn(20) ? 2 : 1
    for _ in 0..<copies {
      let delay = isDisorderly && random.oneIn(10) ? random.below(40) : random.below(4)
      let life = self[message.to].life
      network.append(Flight(message: message, due: now + delay, life: life))
    }
  }

  func deliverDue() {
    while let index = network.firstIndex(where: { $0.due <= now }) {
      let flight = network.remove(at: index)
      let message = flight.message
      guard flight.life == self[message.to].life else { continue }
      if !cuts.contains(from: message.from, to: message.to) {
        step(self[message.to], .received(message))
      }
    }
  }

  /// A tick of time: messages, disks, clocks. Who is quiet has none.
  func turn(flushPercent: Int = 50) {
    now += 1
    deliverDue()
    liveness.turn(self)
    groupZero.turn(self)
    for replica in replicas where replica.isHere {
      while !replica.queue.isEmpty, random.below(100) < flushPercent {
        for input in replica.flushOne(mistakes) { step(replica, input) }
      }
      if now % 2 == 0, !replica.raft.isQuiet { step(replica, .tick) }
    }
    deliverDue()
  }

  var readyLeader: ModelReplica? {
    replicas.filter { $0.isHere && $0.raft.isReady }.max { $0.raft.epoch < $1.raft.epoch }
  }

  func produce(_ replica: ModelReplica) {
    guard replica.isHere, replica.raft.isReady, !replica.raft.isTransferring else { return }
    let end = replica.log.end.offset + 1
    replica.order(.append([ModelEntry(epoch: replica.raft.epoch, end: end, value: nextValue)]))
    nextValue += 1
    step(replica, .appended(replica.log.end))
  }

  func read(_ replica: ModelReplica) {
    let token = random.next()
    let least = committed.last?.end ?? .zero
    readsIssued[token] = least
    step(replica, .read(token))
  }

  func crash(_ replica: ModelReplica, isPowerCut: Bool = true) {
    guard replica.isUp else { return }
    defer { replica.isUp = false }
    guard replica.isPresent else { return }
    // Of what was on its way, a part may be there.
    while !replica.queue.isEmpty, random.oneIn(2) { _ = replica.flushOne() }
    if !isPowerCut { while !replica.queue.isEmpty { _ = replica.flushOne() } }
  }

  /// A connection breaks for no reason.
  func doubt(_ other: ModelReplica, by one: ModelReplica) {
    guard other.id != one.id else { return }
    liveness.doubt(other.id, by: one.id)
    step(one, .peerLost(other.id))
  }

  static func summary(_ replica: ModelReplica) -> String {
    let status = replica.raft.status
    return "\(replica.id.rawValue) \(status.role)\(replica.raft.isQuiet ? " (quiet)" : "")"
      + " v\(status.version) in \(status.epoch.rawValue) under \(status.leader?.rawValue ?? -1),"
      + " log \(status.start.rawValue)...\(TraceText.position(status.end)),"
      + " durable \(TraceText.position(status.durable)),"
      + " committed \(TraceText.position(status.committed))"
  }

  /// Everything works again; nothing more may go wrong, and all must agree before long.
  func settle(turns: Int = 3000) -> Bool {
    cuts = Cuts()
    lossPercent = 0
    for replica in replicas {
      if replica.raft.isFenced { crash(replica) }
      restart(replica)
    }
    groupZero.isRestless = false
    groupZero.deafTurns = 0
    for replica in replicas { replica.deafUntil = 0 }
    if groupZero.changeEvery > 0 { groupZero.changeEvery = 5 }
    for _ in 0..<turns {
      turn(flushPercent: 90)
      if let leader = readyLeader,
        membership.voters.count == replicas.count || groupZero.changeEvery == 0,
        replicas.allSatisfy({
          $0.log == leader.log || $0.log.entries == leader.log.entries
        }), replicas.allSatisfy({ $0.raft.committed == leader.log.end }),
        replicas.allSatisfy({ $0.raft.isQuiet })
      {
        return true
      }
    }
    problem("no agreement in the end: \(replicas.map { Self.summary($0) })")
    return false
  }
}
