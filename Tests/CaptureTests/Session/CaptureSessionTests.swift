import Capture
import Testing

private func lsn(_ value: UInt64) -> LSN { LSN(value) }

private func session(_ through: UInt64 = 100) -> CaptureSession {
  CaptureSession(through: lsn(through), now: 0)
}

extension CaptureSession {
  /// Hands over what must be there.
  fileprivate mutating func chunk() throws -> UInt64 {
    let chunk = handOver()
    return try #require(chunk)
  }

  /// One transaction of `changes` records, collected and not handed over.
  fileprivate mutating func transaction(
    commit: UInt64, end: UInt64, changes: Int = 1
  ) throws {
    try begin(commit: LSN(commit))
    for _ in 0..<changes {
      _ = try change()
      collected(1)
    }
    try self.commit(end: LSN(end))
  }
}

@Suite struct `A capture session` {
  @Test func `tells Postgres nothing that is not recorded, and records nothing not durable`() throws
  {
    var session = session()
    try session.transaction(commit: 110, end: 120)
    let chunk = try session.chunk()
    session.tick(now: 2000)
    #expect(session.takeEffects() == [])
    session.keepalive(walEnd: lsn(120), replyRequested: true)
    #expect(session.takeEffects() == [.sendStatus(written: lsn(120), flushed: lsn(100))])
    session.acknowledged(chunk: chunk)
    #expect(session.takeEffects() == [.recordPosition(lsn(120))])
    session.keepalive(walEnd: lsn(120), replyRequested: true)
    #expect(session.takeEffects() == [.sendStatus(written: lsn(120), flushed: lsn(100))])
    session.positionRecorded(lsn(120))
    #expect(session.takeEffects() == [.sendStatus(written: lsn(120), flushed: lsn(120))])
  }

  @Test func `counts changes within a transaction from one, wanted or not`() throws {
    var session = session()
    try session.begin(commit: lsn(110))
    let first = try session.change()
    #expect(first.commit == lsn(110) && first.ordinal == 1)
    let second = try session.change()
    #expect(second.ordinal == 2)
    try session.commit(end: lsn(120))
    try session.begin(commit: lsn(130))
    let third = try session.change()
    #expect(third.commit == lsn(130) && third.ordinal == 1)
  }

  @Test func `is acknowledged up to the first chunk that is not, whatever the order`() throws {
    var session = session()
    var chunks: [UInt64] = []
    for number in UInt64(0)..<4 {
      try session.transaction(commit: 110 + number * 10, end: 115 + number * 10)
      chunks.append(try session.chunk())
    }
    session.acknowledged(chunk: chunks[1])
    session.acknowledged(chunk: chunks[3])
    #expect(session.acknowledged == lsn(100))
    session.acknowledged(chunk: chunks[0])
    #expect(session.acknowledged == lsn(125))
    session.acknowledged(chunk: chunks[2])
    #expect(session.acknowledged == lsn(145))
  }

  @Test func `does not count a transaction whose end has not been received`() throws {
    var session = session()
    try session.begin(commit: lsn(200))
    _ = try session.change()
    session.collected(1)
    let first = try session.chunk()
    session.acknowledged(chunk: first)
    #expect(session.acknowledged == lsn(100))
    _ = try session.change()
    session.collected(1)
    try session.commit(end: lsn(210))
    let second = try session.chunk()
    #expect(session.acknowledged == lsn(100))
    session.acknowledged(chunk: second)
    #expect(session.acknowledged == lsn(210))
  }

  @Test func `a keepalive within a transaction says nothing about it`() throws {
    var session = session()
    try session.begin(commit: lsn(200))
    session.keepalive(walEnd: lsn(300), replyRequested: false)
    #expect(session.acknowledged == lsn(100))
    try session.commit(end: lsn(210))
    #expect(session.acknowledged == lsn(210))
  }

  @Test func `a keepalive waits for what was handed over before it`() throws {
    var session = session()
    try session.transaction(commit: 110, end: 120)
    let chunk = try session.chunk()
    session.keepalive(walEnd: lsn(500), replyRequested: false)
    #expect(session.acknowledged == lsn(100))
    session.acknowledged(chunk: chunk)
    #expect(session.acknowledged == lsn(500))
  }

  @Test func `a keepalive waits for what is collected and not handed over`() throws {
    var session = session()
    try session.transaction(commit: 110, end: 120)
    session.keepalive(walEnd: lsn(500), replyRequested: false)
    #expect(session.acknowledged == lsn(100))
    let chunk = try session.chunk()
    #expect(session.acknowledged == lsn(100))
    session.acknowledged(chunk: chunk)
    #expect(session.acknowledged == lsn(500))
  }

  @Test func `transactions of tables nobody wants move the slot`() throws {
    var session = session()
    try session.begin(commit: lsn(200))
    _ = try session.change()
    try session.commit(end: lsn(210))
    #expect(session.handOver() == nil)
    #expect(session.acknowledged == lsn(210))
    session.tick(now: 4999)
    #expect(!session.takeEffects().contains(.recordPosition(lsn(210))))
    session.tick(now: 5000)
    #expect(session.takeEffects().contains(.recordPosition(lsn(210))))
  }

  @Test func `while rows flow a position is recorded once a second`() throws {
    var session = session()
    var recorded: [Int64] = []
    for time in stride(from: Int64(0), through: 5000, by: 50) {
      let at = UInt64(1000 + time)
      try session.transaction(commit: at, end: at + 5)
      let chunk = try session.chunk()
      session.acknowledged(chunk: chunk)
      session.tick(now: time)
      for case .recordPosition(let position) in session.takeEffects() {
        recorded.append(time)
        session.positionRecorded(position)
      }
    }
    #expect(recorded == [1000, 2000, 3000, 4000, 5000])
  }

  @Test func `records one position at a time`() throws {
    var session = session()
    try session.transaction(commit: 110, end: 120)
    let first = try session.chunk()
    session.acknowledged(chunk: first)
    session.tick(now: 1000)
    #expect(session.takeEffects() == [.recordPosition(lsn(120))])
    try session.transaction(commit: 130, end: 140)
    let second = try session.chunk()
    session.acknowledged(chunk: second)
    session.tick(now: 4000)
    #expect(session.takeEffects() == [])
    session.positionRecorded(lsn(120))
    let effects = session.takeEffects()
    #expect(effects.contains(.sendStatus(written: lsn(140), flushed: lsn(120))))
    #expect(effects.contains(.recordPosition(lsn(140))))
  }

  @Test func `Postgres hears from it in time, also when nothing moves`() {
    var session = session()
    var times: [Int64] = []
    for time in stride(from: Int64(0), through: 20_000, by: 100) {
      session.tick(now: time)
      if !session.takeEffects().isEmpty { times.append(time) }
      #expect(session.deadline > time)
    }
    #expect(times == [5000, 10_000, 15_000, 20_000])
  }

  @Test func `a stop waits for what is under way, records it and confirms it`() throws {
    var session = session()
    try session.transaction(commit: 110, end: 120)
    let chunk = try session.chunk()
    session.stop()
    #expect(session.takeEffects() == [])
    session.acknowledged(chunk: chunk)
    #expect(session.takeEffects() == [.recordPosition(lsn(120))])
    session.positionRecorded(lsn(120))
    #expect(session.takeEffects() == [.sendStatus(written: lsn(120), flushed: lsn(120)), .stopped])
  }

  @Test func `a stop with nothing to do is at once`() {
    var session = session()
    session.stop()
    #expect(session.takeEffects() == [.stopped])
  }

  @Test func `messages out of place are refused`() throws {
    var session = session()
    var other = session
    #expect(throws: CaptureSession.ProtocolError.self) { _ = try other.change() }
    #expect(throws: CaptureSession.ProtocolError.self) { try other.commit(end: LSN(1)) }
    try session.begin(commit: lsn(110))
    #expect(throws: CaptureSession.ProtocolError.self) { try session.begin(commit: LSN(120)) }
  }

  /// Whatever happens in whatever order, what Postgres is told is durable: the invariant of the
  /// session, over random conversations.
  @Test(arguments: 0..<50) func `nothing is confirmed that could still be lost`(seed: Int) throws {
    var random = Generator(state: UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1)
    var session = session()
    var at: UInt64 = 100
    var openEnd: UInt64?
    /// Records by the end of their transaction, and whether they are durable.
    var durable: [(commit: UInt64, isDurable: Bool)] = []
    var collected: [Int] = []
    var chunks: [UInt64: [Int]] = [:]
    var now: Int64 = 0
    var confirmed: UInt64 = 100
    for _ in 0..<400 {
      switch random.next() % 8 {
      case 0, 1:
        if openEnd == nil {
          at += 8
          try session.begin(commit: lsn(at))
          openEnd = at + 4
        }
        _ = try session.change()
        if random.next() % 4 != 0 {
          session.collected(1)
          collected.append(durable.count)
          durable.append((at, false))
        }
      case 2:
        if let end = openEnd {
          try session.commit(end: lsn(end))
          at = end
          openEnd = nil
        }
      case 3:
        if openEnd == nil { at += 8 }
        session.keepalive(walEnd: lsn(at), replyRequested: random.next() % 2 == 0)
      case 4:
        if let chunk = session.handOver() {
          chunks[chunk] = collected
          collected = []
        }
      case 5, 6:
        let open = chunks.keys.sorted()
        if !open.isEmpty {
          let chunk = open[Int(random.next() % UInt64(open.count))]
          for record in chunks.removeValue(forKey: chunk) ?? [] { durable[record].isDurable = true }
          session.acknowledged(chunk: chunk)
        }
      default:
        now += Int64(random.next() % 700)
        session.tick(now: now)
      }
      for effect in session.takeEffects() {
        if case .recordPosition(let position) = effect { session.positionRecorded(position) }
        if case .sendStatus(_, let flushed) = effect {
          #expect(flushed.rawValue >= confirmed)
          confirmed = flushed.rawValue
        }
      }
      for record in durable where record.commit < confirmed { #expect(record.isDurable) }
      #expect(session.recorded <= session.acknowledged && session.acknowledged <= session.received)
    }
    #expect(confirmed > 100)
  }
}

/// Xorshift: the same numbers in every run.
struct Generator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
