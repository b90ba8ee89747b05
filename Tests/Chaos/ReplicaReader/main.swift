import Bytes
import CZlib
import Checks
import Glibc
import LogStore
import Platform
import Records

/// Reads what is in the directory of a node that has ended, as events of a history:
///
///     replica-reader DIRECTORY NODE TIME LOG=PARTITION...
///
/// prints a final read of each log, batch by batch, with who wrote it, its range, and a hash of the
/// bytes of every thousand offsets. A value is its record's first sixteen hexadecimal digits; a
/// control record has none. Exits with 1 if a log cannot be read to its end, and says why.
struct Failure: Error {
  var text: String
}

/// So that ranges of bytes can be compared between nodes whose reads are cut elsewhere.
let hashedOffsets: Int64 = 1000

func say(_ bytes: [UInt8], to file: Int32) {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    guard count > 0 else { exit(1) }
    rest = rest.dropFirst(count)
  }
}

/// As the clients compute it.
func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  bytes.withUnsafeBytes { raw in
    UInt32(crc32(0, raw.bindMemory(to: UInt8.self).baseAddress, UInt32(raw.count)))
  }
}

func value(_ record: Record, _ batch: RecordBatch) throws -> UInt64 {
  if batch.header.attributes.isControl { return 0 }
  let digits = String(decoding: (record.value ?? []).prefix(16), as: UTF8.self)
  guard digits.utf8.count == 16, let value = UInt64(digits, radix: 16) else {
    throw Failure(text: "the record at \(record.offset.rawValue) is not one of the load's")
  }
  return value
}

/// FNV-1a over the batches that begin in a thousand offsets.
struct RangeHash {
  private var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  private(set) var start: Int64

  init(start: Int64) { self.start = start }

  mutating func add(_ bytes: ArraySlice<UInt8>) {
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  }

  func event(_ node: Int32, _ partition: Int32, end: Int64) -> HistoryEvent.What {
    .finalHash(
      node: node, partition: partition, start: Offset(start), end: Offset(end), hash: hash)
  }
}

struct Reader: ~Copyable {
  let store: LogStore
  let node: Int32
  let time: UInt64
  private var writer = HistoryWriter()
  private var decompressor = Decompressor()

  init(_ store: LogStore, node: Int32, time: UInt64) {
    self.store = store
    self.node = node
    self.time = time
  }

  private mutating func note(_ what: HistoryEvent.What) {
    writer.write(HistoryEvent(time: time, process: -node, what))
    if writer.bytes.count > 1 << 20 { say(writer.take(), to: 1) }
  }

  mutating func read(_ name: String, _ partition: Int32) throws {
    guard let log = store.log(named: name) else { throw Failure(text: "there is no log \(name)") }
    if let failure = try store.failure(of: log) { throw Failure(text: "\(name): \(failure)") }
    try store.commit(log, through: store.bounds(of: log).end)
    let bounds = try store.bounds(of: log)
    var next = bounds.start
    var hash = RangeHash(start: next.rawValue)
    while next < bounds.readable {
      guard let slice = try store.slice(of: log, from: next, bytesMax: 1 << 20) else {
        throw Failure(text: "\(name): nothing at \(next.rawValue)")
      }
      var batches = RecordBatches(try store.bytes(of: slice)[...])
      let before = next
      while let batch = try batches.next() {
        guard batch.header.lastOffset >= next else { continue }
        try batch.checkCRC()
        try note(batch, partition)
        hash.add(batch.bytes)
        next = batch.header.nextOffset
        if next.rawValue / hashedOffsets != hash.start / hashedOffsets {
          note(hash.event(node, partition, end: next.rawValue))
          hash = RangeHash(start: next.rawValue)
        }
      }
      guard next > before else { throw Failure(text: "\(name): no batch at \(next.rawValue)") }
    }
    if next.rawValue > hash.start { note(hash.event(node, partition, end: next.rawValue)) }
    note(
      .finalRange(reader: node, partition: partition, start: bounds.start, end: bounds.readable))
    say(writer.take(), to: 1)
  }

  private mutating func note(_ batch: RecordBatch, _ partition: Int32) throws {
    let header = batch.header
    let records = try batch.records(&decompressor).map { record in
      SeenRecord(
        record.offset, value: try value(record, batch), crc: checksum(record.value ?? []),
        epoch: header.partitionLeaderEpoch)
    }
    let producer = HistoryProducer(
      id: header.producerID, epoch: header.producerEpoch, sequence: header.baseSequence)
    note(
      .finalRead(
        reader: node, partition: partition,
        producer: header.hasProducer && !header.attributes.isControl ? producer : nil,
        records: records))
  }
}

let arguments = CommandLine.arguments
guard arguments.count > 3, let node = Int32(arguments[2]), let time = UInt64(arguments[3]) else {
  say(Array("usage: replica-reader DIRECTORY NODE TIME LOG=PARTITION...\n".utf8), to: 2)
  exit(2)
}
do {
  let disk = try FileDisk(directory: arguments[1])
  guard disk.lockDirectory() else { throw Failure(text: "\(arguments[1]) is in use") }
  let store = try LogStore.open(
    disk, options: LogStoreOptions(), newID: 1, now: WallClock.milliseconds())
  var reader = Reader(store, node: node, time: time)
  for argument in arguments[4...] {
    guard let equals = argument.lastIndex(of: "="),
      let partition = Int32(argument[argument.index(after: equals)...])
    else { throw Failure(text: "\(argument) is not LOG=PARTITION") }
    try reader.read(String(argument[..<equals]), partition)
  }
} catch {
  say(Array("replica-reader: \(error)\n".utf8), to: 2)
  exit(1)
}
