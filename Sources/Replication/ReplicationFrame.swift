package import Bytes

/// Messages of many groups as bytes between two nodes. All integers are big-endian.
///
///     frame     format (uint8, 1), count (uint32), messages
///     message   group (uint64, uint64, int32), from (int32), to (int32), version (int64),
///               epoch (int32), kind (uint8), body
///     body 0    vote request: kind (uint8: pre-vote, vote, take-over), epoch (int32), position
///          1    vote response: pre-vote (bool), epoch (int32), granted (bool)
///          2    append: previous (position), committed (position), start (int64),
///               count (uint32), entries
///          3    accepted: durable (position), verified (position)
///          4    rejected: previous (position), hint (position)
///          5    heartbeat: committed (position), start (int64), context (uint64), quiet (bool)
///          6    heartbeat answer: context (uint64), quiet (bool)
///          7    reset: start (position), count (uint32), epochs (int32, int64),
///               size (uint32), state
///          8    take over: nothing
///          9    resigned: nothing
///     position  epoch (int32), offset (int64)
///     entry     epoch (int32), end (int64), size (uint32), batches
///
/// What is decoded has the order that `Raft` builds on: positions of entries and of a history's
/// epochs rise, the start of an epoch has no width and nothing else has none.
package enum ReplicationFrame {
  static let format: UInt8 = 1
  static let headerSize = 5
  static let messageSizeMin = 41
  static let positionSize = 12
  static let entrySizeMin = 16
  static let epochSize = 12

  /// Behind what comes before it in the same bytes, which are no frame's.
  package static func encode(
    _ messages: [(GroupID, Message)], behind prefix: [UInt8] = []
  ) -> [UInt8] {
    var size = prefix.count + headerSize
    for (_, message) in messages { size += messageSizeMin + self.size(message.body) }
    return unsafe ByteWriter.array(size) { writer in
      unsafe writer.bytes(prefix[...])
      unsafe writer.integer(format)
      unsafe writer.integer(UInt32(messages.count))
      for (group, message) in messages { unsafe write(group, message, &writer) }
    }
  }

  /// The batches and states in what is returned are slices of `bytes`.
  package static func decode(
    _ bytes: ArraySlice<UInt8>
  ) throws(ByteError) -> [(GroupID, Message)] {
    var reader = ByteReader(bytes)
    try expect(format, &reader)
    let count = try count(of: messageSizeMin, &reader)
    var messages: [(GroupID, Message)] = []
    messages.reserveCapacity(count)
    for _ in 0..<count { messages.append(try message(&reader)) }
    guard reader.isAtEnd else {
      throw .unexpected(at: reader.position, value: Int64(reader.remaining))
    }
    return messages
  }
}

// MARK: - Sizes

extension ReplicationFrame {
  static func size(_ body: Message.Body) -> Int {
    switch body {
    case .voteRequest: 1 + 4 + positionSize
    case .voteResponse: 1 + 4 + 1
    case .append(let request):
      request.entries.reduce(positionSize * 2 + 8 + 4) { $0 + entrySizeMin + $1.bytes.count }
    case .appended: positionSize * 2
    case .heartbeat: positionSize + 8 + 8 + 1
    case .heartbeatAnswer: 8 + 1
    case .reset(let request):
      positionSize + 4 + request.history.entries.count * epochSize + 4 + request.state.count
    case .takeOver, .resigned: 0
    }
  }
}

// MARK: - Writing

extension ReplicationFrame {
  private static func write(
    _ group: GroupID, _ message: Message, _ writer: inout ByteWriter
  ) {
    unsafe writer.integer(group.high)
    unsafe writer.integer(group.low)
    unsafe writer.integer(group.partition)
    unsafe writer.integer(message.from.rawValue)
    unsafe writer.integer(message.to.rawValue)
    unsafe writer.integer(message.version)
    unsafe writer.integer(message.epoch.rawValue)
    unsafe writer.integer(kind(message.body))
    switch message.body {
    case .voteRequest(let request):
      unsafe writer.integer(request.kind.rawValue)
      unsafe writer.integer(request.proposed.rawValue)
      unsafe write(request.end, &writer)
    case .voteResponse(let response):
      unsafe write(response.isPreVote, &writer)
      unsafe writer.integer(response.proposed.rawValue)
      unsafe write(response.isGranted, &writer)
    case .append(let request): unsafe write(request, &writer)
    case .appended(.accepted(let durable, let verified)):
      unsafe write(durable, &writer)
      unsafe write(verified, &writer)
    case .appended(.rejected(let previous, let hint)):
      unsafe write(previous, &writer)
      unsafe write(hint, &writer)
    case .heartbeat(let beat):
      unsafe write(beat.committed, &writer)
      unsafe writer.integer(beat.start.rawValue)
      unsafe writer.integer(beat.context)
      unsafe write(beat.isQuiet, &writer)
    case .heartbeatAnswer(let context, let isQuiet):
      unsafe writer.integer(context)
      unsafe write(isQuiet, &writer)
    case .reset(let request): unsafe write(request, &writer)
    case .takeOver, .resigned: break
    }
  }

  private static func kind(_ body: Message.Body) -> UInt8 {
    switch body {
    case .voteRequest: 0
    case .voteResponse: 1
    case .append: 2
    case .appended(.accepted): 3
    case .appended(.rejected): 4
    case .heartbeat: 5
    case .heartbeatAnswer: 6
    case .reset: 7
    case .takeOver: 8
    case .resigned: 9
    }
  }

  private static func write(_ value: Bool, _ writer: inout ByteWriter) {
    unsafe writer.integer(UInt8(value ? 1 : 0))
  }

  private static func write(_ position: LogPosition, _ writer: inout ByteWriter) {
    unsafe writer.integer(position.epoch.rawValue)
    unsafe writer.integer(position.offset.rawValue)
  }

  private static func write(_ request: AppendRequest, _ writer: inout ByteWriter) {
    unsafe write(request.previous, &writer)
    unsafe write(request.committed, &writer)
    unsafe writer.integer(request.start.rawValue)
    unsafe writer.integer(UInt32(request.entries.count))
    for entry in request.entries {
      unsafe write(entry.position, &writer)
      unsafe writer.integer(UInt32(entry.bytes.count))
      unsafe writer.bytes(entry.bytes)
    }
  }

  private static func write(_ request: ResetRequest, _ writer: inout ByteWriter) {
    unsafe write(request.start, &writer)
    unsafe writer.integer(UInt32(request.history.entries.count))
    for entry in request.history.entries {
      unsafe writer.integer(entry.epoch.rawValue)
      unsafe writer.integer(entry.start.rawValue)
    }
    unsafe writer.integer(UInt32(request.state.count))
    unsafe writer.bytes(request.state)
  }
}

// MARK: - Reading

extension ReplicationFrame {
  private static func message(
    _ reader: inout ByteReader
  ) throws(ByteError) -> (GroupID, Message) {
    let group = GroupID(
      high: try reader.uint64(), low: try reader.uint64(), partition: try reader.int32())
    let from = NodeID(try reader.int32())
    let to = NodeID(try reader.int32())
    let version = try reader.int64()
    let epoch = try epoch(&reader)
    let body = try body(&reader)
    return (group, Message(from: from, to: to, version: version, epoch: epoch, body: body))
  }

  private static func body(_ reader: inout ByteReader) throws(ByteError) -> Message.Body {
    let at = reader.position
    let kind = try reader.uint8()
    switch kind {
    case 0:
      let kindAt = reader.position
      let rawKind = try reader.uint8()
      guard let kind = VoteRequest.Kind(rawValue: rawKind) else {
        throw .unexpected(at: kindAt, value: Int64(rawKind))
      }
      return .voteRequest(
        VoteRequest(kind: kind, proposed: try epoch(&reader), end: try position(&reader)))
    case 1:
      let isPreVote = try bool(&reader)
      return .voteResponse(
        VoteResponse(
          isPreVote: isPreVote, proposed: try epoch(&reader), isGranted: try bool(&reader)))
    case 2: return .append(try append(&reader))
    case 3:
      return .appended(
        .accepted(durable: try position(&reader), verified: try position(&reader)))
    case 4:
      return .appended(.rejected(previous: try position(&reader), hint: try position(&reader)))
    case 5:
      return .heartbeat(
        Heartbeat(
          committed: try position(&reader), start: try offset(&reader),
          context: try reader.uint64(), isQuiet: try bool(&reader)))
    case 6:
      return .heartbeatAnswer(context: try reader.uint64(), isQuiet: try bool(&reader))
    case 7: return .reset(try reset(&reader))
    case 8: return .takeOver
    case 9: return .resigned
    default: throw .unexpected(at: at, value: Int64(kind))
    }
  }

  private static func append(_ reader: inout ByteReader) throws(ByteError) -> AppendRequest {
    let previous = try position(&reader)
    let committed = try position(&reader)
    let start = try offset(&reader)
    let count = try count(of: entrySizeMin, &reader)
    var entries: [Entry] = []
    entries.reserveCapacity(count)
    var last = previous
    for _ in 0..<count {
      let at = reader.position
      let position = try position(&reader)
      let bytes = try bytes(&reader)
      let follows =
        bytes.isEmpty
        ? position.epoch > last.epoch && position.offset == last.offset
        : position.epoch >= last.epoch && position.offset > last.offset
      guard follows else { throw .unexpected(at: at, value: position.offset.rawValue) }
      entries.append(Entry(epoch: position.epoch, end: position.offset, bytes: bytes))
      last = position
    }
    return AppendRequest(previous: previous, entries: entries, committed: committed, start: start)
  }

  private static func reset(_ reader: inout ByteReader) throws(ByteError) -> ResetRequest {
    let start = try position(&reader)
    let count = try count(of: epochSize, &reader)
    var history = EpochHistory()
    var last = LogPosition(epoch: .none, offset: .zero)
    for _ in 0..<count {
      let at = reader.position
      let next = try position(&reader)
      guard next.epoch > last.epoch, next.offset >= last.offset, next <= start,
        next.offset <= start.offset
      else { throw .unexpected(at: at, value: next.offset.rawValue) }
      history.begin(next.epoch, at: next.offset)
      last = next
    }
    return ResetRequest(start: start, history: history, state: try bytes(&reader))
  }

  private static func position(_ reader: inout ByteReader) throws(ByteError) -> LogPosition {
    LogPosition(epoch: try epoch(&reader), offset: try offset(&reader))
  }

  private static func epoch(_ reader: inout ByteReader) throws(ByteError) -> LeaderEpoch {
    let at = reader.position
    let epoch = try reader.int32()
    guard epoch >= -1 else { throw .unexpected(at: at, value: Int64(epoch)) }
    return LeaderEpoch(epoch)
  }

  private static func offset(_ reader: inout ByteReader) throws(ByteError) -> Offset {
    let at = reader.position
    let offset = try reader.int64()
    guard offset >= 0 else { throw .unexpected(at: at, value: offset) }
    return Offset(offset)
  }

  private static func bool(_ reader: inout ByteReader) throws(ByteError) -> Bool {
    let at = reader.position
    let value = try reader.uint8()
    guard value <= 1 else { throw .unexpected(at: at, value: Int64(value)) }
    return value == 1
  }

  private static func bytes(_ reader: inout ByteReader) throws(ByteError) -> ArraySlice<UInt8> {
    let count = try reader.uint32()
    return try reader.slice(Int(count))
  }

  /// How many things of at least `sizeMin` bytes follow: no more than there is room for.
  private static func count(
    of sizeMin: Int, _ reader: inout ByteReader
  ) throws(ByteError) -> Int {
    let at = reader.position
    let count = Int(try reader.uint32())
    guard count <= reader.remaining / sizeMin else {
      throw .countExceedsInput(at: at, count: count)
    }
    return count
  }

  private static func expect(_ value: UInt8, _ reader: inout ByteReader) throws(ByteError) {
    let at = reader.position
    let found = try reader.uint8()
    guard found == value else { throw .unexpected(at: at, value: Int64(found)) }
  }
}
