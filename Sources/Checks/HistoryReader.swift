internal import Bytes

/// Reads events from bytes of a file, in pieces of any size; `HistoryLine` has the form.
///
/// A last line without its end was cut short, with whoever wrote it: it is no event, and counted as
/// torn. Any other line that is no event is an error: nothing is passed over silently.
package struct HistoryReader {
  private var parser = HistoryParser()
  /// Read and not given yet.
  private var pending: [UInt8] = []
  private var start = 0
  /// From where there may be an end of line.
  private var searched = 0
  package private(set) var lineCount = 0

  package init() {}

  package mutating func feed(_ bytes: some Collection<UInt8>) {
    if start > 0 {
      pending.removeFirst(start)
      searched -= start
      start = 0
    }
    pending.append(contentsOf: bytes)
  }

  /// Whether bytes are left that are no line.
  package var isTorn: Bool { start < pending.count }

  /// The next event, or nil if there is no whole line: feed, or it was the last.
  package mutating func next() throws(HistoryError) -> HistoryEvent? {
    while let end = pending[searched...].firstIndex(of: 10) {
      let line = pending[start..<end]
      start = end + 1
      searched = start
      lineCount += 1
      if line.allSatisfy({ $0 <= 0x20 }) { continue }
      do throws(HistoryParser.Failure) {
        try parser.parse(line)
        return try event()
      } catch {
        throw .notAnEvent(line: lineCount, at: error.position, error.reason)
      }
    }
    searched = pending.count
    return nil
  }

  // MARK: Events

  private typealias Failure = HistoryParser.Failure

  private func event() throws(Failure) -> HistoryEvent {
    guard let time = parser.number(.t), !time.isNegative else { throw parser.failure("no t") }
    guard let text = parser.text(.e), let kind = HistoryLine.Kind(rawValue: text) else {
      throw parser.failure("no e that is known")
    }
    return HistoryEvent(
      time: time.magnitude, process: try integer(.p, or: 0), try what(kind))
  }

  private func what(_ kind: HistoryLine.Kind) throws(Failure) -> HistoryEvent.What {
    switch kind {
    case .name:
      return .named(try named(), number: try integer(.number), try text(.text))
    case .cluster: return .cluster(nodes: Int(try integer(.nodes) as Int32))
    case .part:
      return .partition(
        try integer(.part), isCompacted: try flag(.compact), trims: try flag(.trims))
    case .produce:
      return .produceInvoked(
        operation: try unsigned(.op), partition: try integer(.part), producer: try producer(),
        records: try records())
    case .produced: return .produceAnswered(operation: try unsigned(.op), try produceOutcome())
    case .producer:
      guard let said = try producer() else { throw parser.failure("no producer") }
      return .producerIDGiven(said.id, said.epoch, isBump: try flag(.bump))
    case .position:
      return .positioned(partition: try integer(.part), try offset(.offset, or: -1))
    case .poll:
      return .polled(
        partition: try integer(.part), records: try seen(), highWatermark: try offset(.hw, or: -1))
    case .end: return .endInvoked(operation: try unsigned(.op), partition: try integer(.part))
    case .ended: return .endAnswered(operation: try unsigned(.op), try offsetIfKnown())
    case .marks:
      return .watermarks(
        partition: try integer(.part),
        Watermarks(
          epoch: LeaderEpoch(try integer(.epoch, or: -1)), high: try offset(.hw, or: -1),
          stable: try offset(.stable, or: -1), start: try offset(.start, or: -1)))
    case .leader:
      return .led(
        partition: try integer(.part), LeaderEpoch(try integer(.epoch)), node: try integer(.node))
    default: return try rest(kind)
    }
  }

  private func rest(_ kind: HistoryLine.Kind) throws(Failure) -> HistoryEvent.What {
    switch kind {
    case .assigned:
      return .assigned(
        group: try integer(.group), generation: try integer(.gen, or: -1),
        partitions: try integers(.parts))
    case .commit:
      return .commitInvoked(
        operation: try unsigned(.op), group: try integer(.group),
        generation: try integer(.gen, or: -1), partition: try integer(.part),
        try offset(.offset))
    case .committed: return .commitAnswered(operation: try unsigned(.op), try outcome())
    case .fetch:
      return .offsetFetchInvoked(
        operation: try unsigned(.op), group: try integer(.group), partition: try integer(.part))
    case .fetched: return .offsetFetchAnswered(operation: try unsigned(.op), try offsetIfKnown())
    case .fault:
      return .faultBegan(
        fault: try integer(.id), kind: try text(.text), nodes: try integers(.nodes))
    case .healed: return .faultEnded(fault: try integer(.id))
    case .durable:
      let ends: [Int64] = try integers(.ends)
      return .durable(
        partition: try integer(.part), ends: ends.map { Offset($0) },
        quorum: Int(try integer(.quorum) as Int32))
    case .final:
      return .finalRead(
        reader: try integer(.reader), partition: try integer(.part), producer: try producer(),
        records: try seen())
    case .range:
      return .finalRange(
        reader: try integer(.reader), partition: try integer(.part), start: try offset(.start),
        end: try offset(.end))
    case .hash:
      return .finalHash(
        node: try integer(.node), partition: try integer(.part), start: try offset(.start),
        end: try offset(.end), hash: try unsigned(.hash))
    case .table:
      let side = try text(.side)
      guard side == "source" || side == "log" else { throw parser.failure("no side that is known") }
      return .table(
        try text(.text), position: try unsigned(.position), isSource: side == "source",
        rows: try unsigned(.rows), hash: try unsigned(.hash))
    case .limits: return .limits(try resources())
    case .used: return .resources(node: try integer(.node), try resources())
    case .error: return .errorCode(try integer(.code))
    default: throw parser.failure("no e that is known")
    }
  }

  // MARK: Fields

  private func integer<T: FixedWidthInteger>(
    _ key: HistoryLine.Key, or absent: T? = nil
  ) throws(Failure) -> T {
    guard let number = parser.number(key) else {
      guard let absent else { throw parser.failure("no \(key)") }
      return absent
    }
    guard let signed = number.signed, let value = T(exactly: signed) else {
      throw parser.failure("\(key) is too large")
    }
    return value
  }

  private func unsigned(_ key: HistoryLine.Key) throws(Failure) -> UInt64 {
    guard let number = parser.number(key), !number.isNegative else {
      throw parser.failure("no \(key)")
    }
    return number.magnitude
  }

  private func offset(_ key: HistoryLine.Key, or absent: Int64? = nil) throws(Failure) -> Offset {
    Offset(try integer(key, or: absent))
  }

  private func offsetIfKnown() throws(Failure) -> Offset? {
    parser.number(.offset) == nil ? nil : try offset(.offset)
  }

  private func flag(_ key: HistoryLine.Key) throws(Failure) -> Bool {
    try integer(key, or: 0) as Int64 != 0
  }

  private func text(_ key: HistoryLine.Key) throws(Failure) -> String {
    guard let text = parser.text(key) else { throw parser.failure("no \(key)") }
    return text
  }

  private func integers<T: FixedWidthInteger>(_ key: HistoryLine.Key) throws(Failure) -> [T] {
    guard let list = parser.list(key) else { return [] }
    var integers: [T] = []
    integers.reserveCapacity(list.count)
    for number in list {
      guard let signed = number.signed, let value = T(exactly: signed) else {
        throw parser.failure("one of \(key) is too large")
      }
      integers.append(value)
    }
    return integers
  }

  private func named() throws(Failure) -> HistoryEvent.Named {
    switch try text(.of) {
    case "process": .process
    case "partition": .partition
    case "group": .group
    case "node": .node
    default: throw parser.failure("no of that is known")
    }
  }

  private func outcome() throws(Failure) -> HistoryEvent.Outcome {
    switch try text(.outcome) {
    case "ok": .ok
    case "failed": .failed
    case "unknown": .unknown
    default: throw parser.failure("no outcome that is known")
    }
  }

  private func produceOutcome() throws(Failure) -> HistoryEvent.ProduceOutcome {
    switch try outcome() {
    case .ok:
      .ok(
        try offset(.offset), LeaderEpoch(try integer(.epoch, or: -1)),
        node: try integer(.node, or: -1))
    case .failed: .failed
    case .unknown: .unknown
    }
  }

  private func producer() throws(Failure) -> HistoryProducer? {
    if try flag(.idem) { return .unsaid }
    let fields: [Int64] = try integers(.producer)
    if fields.isEmpty { return nil }
    guard fields.count == 2 || fields.count == 3, let epoch = Int16(exactly: fields[1]),
      let sequence = Int32(exactly: fields.count == 3 ? fields[2] : 0)
    else { throw parser.failure("no producer") }
    return HistoryProducer(
      id: ProducerID(fields[0]), epoch: ProducerEpoch(epoch), sequence: sequence)
  }

  private func records() throws(Failure) -> [HistoryRecord] {
    guard let list = parser.list(.records), list.count % 2 == 0 else {
      throw parser.failure("no records")
    }
    var records: [HistoryRecord] = []
    records.reserveCapacity(list.count / 2)
    for index in stride(from: list.startIndex, to: list.endIndex, by: 2) {
      guard !list[index].isNegative, !list[index + 1].isNegative,
        let crc = UInt32(exactly: list[index + 1].magnitude)
      else { throw parser.failure("no record") }
      records.append(HistoryRecord(value: list[index].magnitude, crc: crc))
    }
    return records
  }

  private func seen() throws(Failure) -> [SeenRecord] {
    guard let list = parser.list(.records), list.count % 4 == 0 else {
      throw parser.failure("no records")
    }
    var records: [SeenRecord] = []
    records.reserveCapacity(list.count / 4)
    for index in stride(from: list.startIndex, to: list.endIndex, by: 4) {
      guard let offset = list[index].signed, !list[index + 1].isNegative,
        !list[index + 2].isNegative, let crc = UInt32(exactly: list[index + 2].magnitude),
        let epoch = list[index + 3].signed.flatMap({ Int32(exactly: $0) })
      else { throw parser.failure("no record") }
      records.append(
        SeenRecord(
          Offset(offset), value: list[index + 1].magnitude, crc: crc, epoch: LeaderEpoch(epoch)))
    }
    return records
  }

  private func resources() throws(Failure) -> Resources {
    Resources(
      memoryBytes: try integer(.rss, or: -1), descriptors: try integer(.files, or: -1),
      threads: try integer(.threads, or: -1), diskBytes: try integer(.disk, or: -1))
  }
}
