internal import Platform
internal import Postgres

/// Moves changes from a replication connection to the log, and positions back. Decides nothing
/// about them: `ChangeEncoder` knows what a change becomes, `CaptureSession` what is durable.
///
/// (1) Everything happens on the loop's thread; completions of the log are posted to it.
/// (2) What the log has no room for waits in `records`, and nothing more is read until it is taken:
///     memory is bounded by the log's buffer and one chunk. Status messages go on.
/// (3) Nor is more read while a table that was announced is asked for.
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
  /// So often the publication is looked at, while anything is written in the database.
  private static let lookMilliseconds: Int64 = 1000

  private let loop: EventLoop
  private let connection: PostgresConnection
  private let target: any PositionedLog
  private let encoder: ChangeEncoder
  private let catalogue: Catalogue
  private let watch: PublicationWatch
  private let thread = CatalogueThread()
  private var isLooking = false
  private var nextLook: Int64 = 0
  private var lookedAt = LSN.zero
  private let heartbeat: Heartbeat?
  private let heartbeatThread: CatalogueThread?
  private var isBeating = false
  private var nextBeat: Int64 = 0
  /// Where this stream began: changes from there on may be in the topics.
  private let start: LSN
  private var session: CaptureSession
  private var decoder = PgOutputDecoder(protocolVersion: 1)
  private var record: PositionRecord
  private var records: [PositionedRecord] = []
  private var recordBytes = 0
  /// The chunk that the log had no room for: `records` are its records.
  private var refused: UInt64?
  /// What was announced and is not ready: nothing more can be encoded.
  private var announcing: Announcement?
  private var mayHaveMore = true
  private var wantsToSend = false
  private var stopDeadline: Int64?
  private var hasEnded = false
  private var failure: (any Error)?
  private let status: CaptureStatus
  private var meter = StreamMeter()

  init(
    _ connection: PostgresConnection, _ setup: PublicationSetup, _ target: any PositionedLog,
    _ encoder: ChangeEncoder, _ record: PositionRecord, _ options: CaptureSession.Options,
    _ status: CaptureStatus
  ) throws {
    self.status = status
    loop = try EventLoop()
    catalogue = setup.catalogue
    watch = PublicationWatch(setup)
    heartbeat = Heartbeat(setup.config, target, setup.log)
    heartbeatThread = heartbeat == nil ? nil : CatalogueThread()
    start = record.through
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
    thread.end()
    heartbeatThread?.end()
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
    lookIfDue(now)
    beatIfDue(now)
    attempt {
      if mayHaveMore { try pump() }
      try perform()
    }
    if let stopDeadline, now >= stopDeadline { loop.stop() }
    updateInterest()
    meter.publish(session, to: status)
    if mayHaveMore, isReading { return 0 }
    let look = session.received > lookedAt && !isLooking ? nextLook : .max
    let beat = heartbeat != nil && !isBeating ? nextBeat : .max
    return max(0, min(session.deadline, stopDeadline ?? .max, look, beat) - now)
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
    if isReading { interest.insert(.readable) }
    if wantsToSend { interest.insert(.writable) }
    loop.change(connection.descriptor, interest)
  }

  // MARK: Reading

  private var isReading: Bool { refused == nil && announcing == nil && stopDeadline == nil }

  private func pump() throws {
    guard isReading else { return }
    var frames = 0
    mayHaveMore = false
    while isReading {
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
      let announcement = try encoder.take(message, at: start, &session, into: &records)
      session.collected(records.count - before)
      for record in records[before...] {
        recordBytes += (record.event.key?.count ?? 0) + (record.event.value?.count ?? 0)
      }
      if let announcement { announce(announcement) }
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
    guard refused == nil else { return }
    // A record waits for its topic, and those behind it with it.
    if let announcing, announcing.table == nil { return }
    guard let chunk = session.handOver() else { return }
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

  // MARK: Tables

  private func announce(_ announcement: Announcement) {
    announcing = announcement
    let me = Owned(self)
    let poster = loop.poster
    let catalogue = Owned(catalogue)
    thread.run { [target] in
      let answer = Owned(Result { try announcement.ask(catalogue.value, target) })
      poster.post { me.value.announced(answer.value) }
    }
  }

  private func announced(_ result: Result<Announcement.Answer, any Error>) {
    guard !hasEnded else { return }
    attempt {
      let answer = try result.get()
      encoder.announced(answer)
      if let topic = answer.topic, try isDividedAnew(topic) {
        let me = Owned(self)
        let poster = loop.poster
        target.write(record) { error in
          poster.post { me.value.readOn(error) }
        }
      } else {
        readOn(nil)
      }
    }
  }

  /// True if the connector's record must say so before the topic is written to.
  private func isDividedAnew(_ topic: FoundTopic) throws -> Bool {
    let before = record.partitions
    try record.partitions?.take(topic, through: start.rawValue)
    target.divide(topic.name, by: record.partitions?[topic.name] ?? .init(topic.partitions))
    return record.partitions != before
  }

  private func lookIfDue(_ now: Int64) {
    guard !isLooking, now >= nextLook, session.received > lookedAt, stopDeadline == nil else {
      return
    }
    isLooking = true
    lookedAt = session.received
    nextLook = now + Self.lookMilliseconds
    let me = Owned(self)
    let poster = loop.poster
    let watch = Owned(watch)
    thread.run {
      let result = Result { () throws(PostgresError) in try watch.value.look() }
      poster.post { me.value.looked(result) }
    }
  }

  private func looked(_ result: Result<Void, PostgresError>) {
    guard !hasEnded else { return }
    isLooking = false
    attempt { try result.get() }
  }

  private func beatIfDue(_ now: Int64) {
    guard let heartbeat, !isBeating, now >= nextBeat, stopDeadline == nil else { return }
    isBeating = true
    nextBeat = now + heartbeat.intervalMilliseconds
    let me = Owned(self)
    let poster = loop.poster
    let owned = Owned(heartbeat)
    heartbeatThread?.run {
      owned.value.beat()
      poster.post { me.value.isBeating = false }
    }
  }

  private func readOn(_ error: LogWriteError?) {
    guard !hasEnded else { return }
    attempt {
      if let error { throw error }
      announcing = nil
      mayHaveMore = true
      handOverUnlessBusy()
    }
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
