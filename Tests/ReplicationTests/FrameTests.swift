import Bytes
import Replication
import Testing

/// Messages of every kind, made by chance.
struct MessageMaker {
  var random: SeededGenerator

  mutating func frame(of count: Int) -> [(GroupID, Message)] {
    (0..<count).map { _ in
      let group =
        random.oneIn(5)
        ? .metadata
        : GroupID(high: random.next(), low: random.next(), partition: Int32(random.below(5000)))
      return (group, message())
    }
  }

  mutating func message() -> Message {
    Message(
      from: NodeID(Int32(random.below(9))), to: NodeID(Int32(random.below(9))),
      version: Int64(random.below(1000)), epoch: epoch(), body: body(random.below(10)))
  }

  mutating func body(_ kind: Int) -> Message.Body {
    switch kind {
    case 0:
      let kinds: [VoteRequest.Kind] = [.preVote, .vote, .takeOver]
      return .voteRequest(
        VoteRequest(kind: kinds[random.below(3)], proposed: epoch(), end: position()))
    case 1:
      return .voteResponse(
        VoteResponse(
          isPreVote: random.oneIn(2), proposed: epoch(), isGranted: random.oneIn(2)))
    case 2: return .append(append())
    case 3: return .appended(.accepted(durable: position(), verified: position()))
    case 4: return .appended(.rejected(previous: position(), hint: position()))
    case 5:
      return .heartbeat(
        Heartbeat(
          committed: position(), start: position().offset, context: random.next(),
          isQuiet: random.oneIn(2)))
    case 6: return .heartbeatAnswer(context: random.next(), isQuiet: random.oneIn(2))
    case 7: return .reset(reset())
    case 8: return .takeOver
    default: return .resigned
    }
  }

  mutating func epoch() -> LeaderEpoch {
    let some = LeaderEpoch(Int32(random.below(1 << 30)))
    return [LeaderEpoch.none, LeaderEpoch(0), LeaderEpoch(.max), some][random.below(4)]
  }

  mutating func position() -> LogPosition {
    LogPosition(
      epoch: epoch(),
      offset: [Offset.zero, Offset(.max), Offset(Int64(random.below(1 << 50)))][random.below(3)])
  }

  mutating func append() -> AppendRequest {
    var at = LogPosition(
      epoch: LeaderEpoch(Int32(random.below(50)) - 1), offset: Offset(Int64(random.below(1000))))
    let previous = at
    var entries: [Entry] = []
    for _ in 0..<random.below(6) {
      var bytes: [UInt8] = []
      if random.oneIn(2) {
        at.epoch = LeaderEpoch(at.epoch.rawValue + 1 + Int32(random.below(3)))
      } else {
        bytes = self.bytes(1 + random.below(100))
        at.offset = at.offset + Int64(1 + random.below(10))
      }
      entries.append(Entry(epoch: at.epoch, end: at.offset, bytes: bytes[...]))
    }
    return AppendRequest(
      previous: previous, entries: entries, committed: position(),
      start: Offset(Int64(random.below(1000))))
  }

  mutating func reset() -> ResetRequest {
    var history = EpochHistory()
    var at = LogPosition(epoch: .none, offset: .zero)
    for _ in 0..<random.below(5) {
      at.epoch = LeaderEpoch(at.epoch.rawValue + 1 + Int32(random.below(3)))
      at.offset = at.offset + Int64(random.below(10))
      history.begin(at.epoch, at: at.offset)
    }
    at.offset = at.offset + Int64(random.below(10))
    return ResetRequest(start: at, history: history, state: bytes(random.below(50))[...])
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }
}

@Suite struct `Replication frames` {
  private func same(_ a: [(GroupID, Message)], _ b: [(GroupID, Message)]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.0 == $1.0 && $0.1 == $1.1 }
  }

  @Test(arguments: 0..<10)
  func `every kind of message comes back as it was sent`(kind: Int) throws {
    for seed in 0..<200 as Range<UInt64> {
      var maker = MessageMaker(random: SeededGenerator(seed: seed &* 31 &+ UInt64(kind)))
      var message = maker.message()
      message.body = maker.body(kind)
      let sent = [(GroupID.metadata, message)]
      let bytes = ReplicationFrame.encode(sent)
      #expect(same(try ReplicationFrame.decode(bytes[...]), sent))
    }
  }

  @Test func `a frame carries many groups, or none`() throws {
    var maker = MessageMaker(random: SeededGenerator(seed: 5))
    for count in [0, 1, 2, 50, 2000] {
      let sent = maker.frame(of: count)
      // Somewhere in a larger buffer, as it comes from a socket.
      let bytes = maker.bytes(7) + ReplicationFrame.encode(sent) + maker.bytes(3)
      let decoded = try ReplicationFrame.decode(bytes[7..<bytes.count - 3])
      #expect(same(decoded, sent))
    }
  }

  @Test func `the batches that were decoded are the bytes that came in`() throws {
    var maker = MessageMaker(random: SeededGenerator(seed: 6))
    let entries = [
      Entry(epoch: LeaderEpoch(1), end: Offset(10), bytes: maker.bytes(1000)[...]),
      Entry(epoch: LeaderEpoch(2), end: Offset(10), bytes: []),
      Entry(epoch: LeaderEpoch(2), end: Offset(30), bytes: maker.bytes(500)[...]),
    ]
    let request = AppendRequest(
      previous: LogPosition(epoch: LeaderEpoch(1), offset: Offset(3)), entries: entries,
      committed: LogPosition(epoch: LeaderEpoch(1), offset: Offset(3)), start: .zero)
    let message = Message(
      from: NodeID(1), to: NodeID(2), version: 3, epoch: LeaderEpoch(2), body: .append(request))
    let bytes = ReplicationFrame.encode([(.metadata, message)])
    let decoded = try ReplicationFrame.decode(bytes[...])
    guard case .append(let found) = decoded[0].1.body else { return #expect(Bool(false)) }
    #expect(found == request)
    for entry in found.entries where !entry.bytes.isEmpty {
      let isInside = bytes.withUnsafeBytes { all in
        entry.bytes.withUnsafeBytes { part in
          guard let first = all.baseAddress, let place = part.baseAddress else { return false }
          return first <= place && place + part.count <= first + all.count
        }
      }
      #expect(isInside, "a copy was made")
    }
  }

  @Test func `a frame that ends at any byte before its end is refused`() {
    var maker = MessageMaker(random: SeededGenerator(seed: 7))
    for _ in 0..<20 {
      let bytes = ReplicationFrame.encode(maker.frame(of: 5))
      for end in 0..<bytes.count {
        #expect(throws: ByteError.self) { try ReplicationFrame.decode(bytes[..<end]) }
      }
      #expect(throws: ByteError.self) { try ReplicationFrame.decode((bytes + [0])[...]) }
    }
  }

  /// And what is taken for a frame all the same, a replica survives.
  @Test(arguments: 0..<40)
  func `no bytes stop the program`(seed: Int) {
    var maker = MessageMaker(random: SeededGenerator(seed: UInt64(seed)))
    let membership = Membership(version: 1, voters: [NodeID(1), NodeID(2), NodeID(3)])
    var raft = Raft(
      id: NodeID(1), membership: membership, stored: .init(), seed: UInt64(seed))
    var accepted = 0
    for _ in 0..<2000 {
      var bytes = ReplicationFrame.encode(maker.frame(of: 1 + maker.random.below(3)))
      for _ in 0..<1 + maker.random.below(4) {
        let at = maker.random.oneIn(2) ? maker.random.below(bytes.count) : maker.random.below(46)
        bytes[at] = UInt8(truncatingIfNeeded: maker.random.next())
      }
      guard let messages = try? ReplicationFrame.decode(bytes[...]) else { continue }
      accepted += 1
      let again = try? ReplicationFrame.decode(ReplicationFrame.encode(messages)[...])
      #expect(same(again ?? [], messages))
      for (_, message) in messages {
        var message = message
        message.to = NodeID(1)
        message.from = NodeID(2 + message.from.rawValue & 1)
        var effects: [Effect] = []
        raft.step(.received(message), into: &effects)
      }
    }
    #expect(accepted > 100)
  }

  @Test func `counts are bounded by the bytes that are there`() {
    let huge: [UInt8] = [1, 0xff, 0xff, 0xff, 0xff] + [UInt8](repeating: 0, count: 100)
    #expect(throws: ByteError.countExceedsInput(at: 1, count: 0xffff_ffff)) {
      try ReplicationFrame.decode(huge[...])
    }
    #expect(throws: ByteError.unexpected(at: 0, value: 2)) {
      try ReplicationFrame.decode([2, 0, 0, 0, 0])
    }
  }
}
