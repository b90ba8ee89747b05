internal import Platform
internal import Postgres

/// Moves changes from a replication connection to the log, and positions back. Decides nothing
/// about them: `ChangeEncoder` knows what a change becomes, `CaptureSession` what is durable.
///
/// (1) Everything happens on the loop's thread; completions of the log are posted to it.
/// (2) What the log has no room for waits in `records`, and nothing more is read until it is taken:
///     memory is bounded by the log's buffer and one chunk. Status messages go on.
final class StreamDriver: ReadinessHandler {
  /// Records handed to the log in one piece. Small enough that a large transaction is not held
  /// back.
  private static let chunkRecordsMax = 1000
  /// The same in bytes of keys and values.
  private static let chunkBytesMax = 1 << 20
  /// While so many chunks are under way, records are collected until a chunk is full or one of
  /// those is acknowledged: a chunk for every few rows would wake four threads for each of them,
  /// and the disk would take them one after another anyway.
  private static let smallChunksMax = 2
  /// Frames read before acknowledgements and time get their turn.
  private static let framesPerTurnMax = 4000
  private static let stopMilliseconds: Int64 = 5000

  private let loop: EventLoop
  private let connection: PostgresConnection
  private let target: any PositionedLog
  private let encoder: ChangeEncoder
  private var session: CaptureSession
  private var decoder = PgOutputDecoder(protocolVersion: 1)
  private var record: PositionRecord
  private var records: [PositionedRecord] = []
  private var recordBytes = 0
  /// The chunk that the log had no room for: `records` are its records.
  private var refused: UInt64?
  private var mayHaveMore = true
  private var wantsToSend = false
  private var stopDeadline: Int64?
  private var hasEnded = false
  private var failure: (any Error)?
  private let status: CaptureStatus
  private var meter = StreamMeter()

  init(
    _ connection: PostgresConnection, _ target: any PositionedLog, _ encoder: ChangeEncoder,
    _ record: PositionRecord, _ options: CaptureSession.Options, _ status: CaptureStatus
  ) throws {
    self.status = status
    loop = try EventLoop()
    self.connection = connection
    self.target = target
    self.encoder = encoder
    self.record = record
    session = CaptureSession(
      through: record.through, options: options, now: MonotonicClock.milliseconds())
  }

  /// Streams until it is stopped; throws when the connection or the log is lost.
  func run(_ stop: CaptureStop) throws {
    loop.turn = { [unowned self] in turn() }
    loop.add(connection.descriptor, [.readable], self)
    let me = Owned(self)
    let poster = loop.poster
    stop.onRequest { poster.post { me.value.stop() } }
    loop.run()
    stop.removeListeners()
    loop.remove(connection.descriptor)
    loop.turn = { 1000 }
    hasEnded = true
    if let failure { throw failure }
  }

  func ready(_ readiness: Readiness) {
    attempt {
      if readiness.contains(.writable) { wantsToSend = !(try connection.flush()) }
      if readiness.contains(.readable) || readiness.contains(.hangUp) { try pump() }
    }
  }

  private func turn() -> Int64 {
    let now = MonotonicClock.milliseconds()
    session.tick(now: now)
    attempt {
      if mayHaveMore { try pump() }
      try perform()
    }
    if let stopDeadline, now >= stopDeadline { loop.stop() }
    updateInterest()
    meter.publish(session, to: status)
    if mayHaveMore, refused == nil { return 0 }
    return max(0, min(session.deadline, stopDeadline ?? .max) - now)
  }

  private func attempt(_ body: () throws -> Void) {
    guard failure == nil else { return }
    do { try body() } catch {
      failure = error
      loop.stop()
    }
  }

  private func updateInterest() {
    var interest: Readiness = []
    if refused == nil, stopDeadline == nil { interest.insert(.readable) }
    if wantsToSend { interest.insert(.writable) }
    loop.change(connection.descriptor, interest)
  }

  // MARK: Reading

  private func pump() throws {
    guard refused == nil, stopDeadline == nil else { return }
    var frames = 0
    mayHaveMore = false
    while refused == nil {
      guard frames < Self.framesPerTurnMax else {
        mayHaveMore = true
        break
      }
      var piece = try connection.read(blocking: false)
      if case .nothing = piece {
        try connection.receive()
        piece = try connection.read(blocking: false)
      }
      switch piece {
      case .bytes(let frame): try take(frame)
      case .nothing:
        handOverUnlessBusy()
        return
      case .end: throw PostgresError(.unavailable, "The server has ended the stream.")
      }
      frames += 1
      if records.count >= Self.chunkRecordsMax || recordBytes >= Self.chunkBytesMax { handOver() }
    }
    handOverUnlessBusy()
  }

  private func take(_ frame: ArraySlice<UInt8>) throws {
    switch try StreamFrame.decode(frame) {
    case .xLogData(let start, let walEnd, _, let payload):
      let message = try decoder.decode(payload)
      meter.received(message, walEnd)
      let before = records.count
      try encoder.take(message, at: start, &session, into: &records)
      session.collected(records.count - before)
      for record in records[before...] {
        recordBytes += (record.event.key?.count ?? 0) + (record.event.value?.count ?? 0)
      }
    case .keepalive(let end, _, let replyRequested):
      meter.serverEnd = max(meter.serverEnd, end)
      session.keepalive(walEnd: end, replyRequested: replyRequested)
      // At once, because the server waits for it.
      if replyRequested { try perform() }
    }
  }

  private func handOverUnlessBusy() {
    if session.chunksUnderWay < Self.smallChunksMax { handOver() }
  }

  private func handOver() {
    guard refused == nil, let chunk = session.handOver() else { return }
    meter.handedOver(chunk, records.count)
    offer(chunk)
  }

  private func offer(_ chunk: UInt64) {
    let me = Owned(self)
    let poster = loop.poster
    let isTaken = target.enqueue(records) { error in
      poster.post { me.value.acknowledged(chunk, error) }
    }
    if isTaken {
      records.removeAll(keepingCapacity: true)
      recordBytes = 0
      refused = nil
      return
    }
    refused = chunk
    target.whenRoom { poster.post { me.value.roomCame() } }
  }

  private func roomCame() {
    guard !hasEnded, let refused else { return }
    offer(refused)
    if self.refused == nil { mayHaveMore = true }
  }

  // MARK: Writing

  private func acknowledged(_ chunk: UInt64, _ error: LogWriteError?) {
    guard !hasEnded else { return }
    attempt {
      if let error { throw error }
      session.acknowledged(chunk: chunk)
      meter.acknowledged(chunk, at: WallClock.milliseconds())
      handOverUnlessBusy()
      try perform()
    }
  }

  private func perform() throws {
    for effect in session.takeEffects() {
      switch effect {
      case .recordPosition(let through): write(through)
      case .sendStatus(let written, let flushed):
        let frame = StreamFrame.standbyStatusUpdate(
          written: written, flushed: flushed, applied: flushed,
          time: WallClock.milliseconds() * 1000 - SourceInfo.postgresEpoch, replyNow: false)
        if !(try connection.send(frame)) { wantsToSend = true }
        meter.confirmed = flushed
      case .stopped: loop.stop()
      }
    }
  }

  private func write(_ through: LSN) {
    record.through = through
    let me = Owned(self)
    let poster = loop.poster
    target.write(record) { error in
      poster.post { me.value.positionWritten(through, error) }
    }
  }

  private func positionWritten(_ through: LSN, _ error: LogWriteError?) {
    guard !hasEnded else { return }
    attempt {
      if let error { throw error }
      session.positionRecorded(through)
      try perform()
    }
  }

  private func stop() {
    guard stopDeadline == nil, !hasEnded else { return }
    stopDeadline = MonotonicClock.milliseconds() + Self.stopMilliseconds
    session.stop()
    attempt { try perform() }
  }
}
