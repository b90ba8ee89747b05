import CLinux
import Capture

/// Nanoseconds per row of an `orders` table with eight columns, from the bytes of a replication
/// message to the bytes of Debezium's events, on one thread.
///
///     swift run -c release CaptureBench [rows]
let rows = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1_000_000

let orders = TableSchema(
  oid: 16_400, namespace: "public", name: "orders",
  columns: [
    ColumnSchema(name: "id", typeOID: 20, isOptional: false),
    ColumnSchema(name: "customer_id", typeOID: 23),
    ColumnSchema(name: "amount", typeOID: 1700, typeModifier: (10 << 16 | 2) + 4),
    ColumnSchema(name: "status", typeOID: 25),
    ColumnSchema(name: "note", typeOID: 1043, typeModifier: 104),
    ColumnSchema(name: "created_at", typeOID: 1184),
    ColumnSchema(name: "updated_at", typeOID: 1114),
    ColumnSchema(name: "payload", typeOID: 3802),
  ], keyColumns: [0])

let texts = [
  "1234567", "4711", "12345.67", "processing",
  "a note that somebody wrote about this order, long enough to count",
  "2024-02-29 13:14:15.123456+00",
  "2024-02-29 13:14:15.123456", #"{"device": "phone", "items": [1, 2, 3], "coupon": null}"#,
]

/// `I`: relation, `N`, and the columns as text.
func insertMessage() -> [UInt8] {
  var message: [UInt8] = [UInt8(ascii: "I"), 0, 0, 0x40, 0x10, UInt8(ascii: "N"), 0, 8]
  for text in texts {
    message.append(UInt8(ascii: "t"))
    let count = UInt32(text.utf8.count)
    for shift in [24, 16, 8, 0] { message.append(UInt8(truncatingIfNeeded: count >> shift)) }
    message.append(contentsOf: text.utf8)
  }
  return message
}

/// Nanoseconds that this thread has run: the machine may be busy with other things.
func processorTime() -> Int64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

func measure(_ name: String, _ body: (Int) throws -> Int) rethrows {
  var bytes = 0
  var best = Double.infinity
  // The best of five.
  for _ in 0..<5 {
    bytes = 0
    let part = rows / 5
    let start = processorTime()
    for row in 0..<part { bytes += try body(row) }
    best = min(best, Double(processorTime() - start) / Double(part))
  }
  print("\(name): \(Int(best)) ns/row, \(Int(1e9 / best)) rows/s, \(bytes / (rows / 5)) B/row")
}

let message = insertMessage()[...]
let line = (texts.joined(separator: "\t") + "\n").utf8.map { $0 }[...]
var decoder = PgOutputDecoder(protocolVersion: 1)
var source = SourceInfo(
  database: "shop", time: 1_795_239_505_442_703, lastCommitLSN: LSN(27_813_120),
  lsn: LSN(27_813_176), xid: 781)

try measure("decode pgoutput") { _ in
  guard case .insert(_, _, let new) = try decoder.decode(message) else { return 0 }
  return new.count
}
let copy = CopyTextRow()
try measure("decode COPY text") { _ in try copy.decode(line, columnCount: 8).count }

for (name, hasSchemas, unwraps) in [
  ("schemaless", false, false), ("with schemas", true, false), ("unwrapped", false, true),
] {
  var options = EnvelopeOptions(topicPrefix: "pg")
  options.keySchemas = hasSchemas
  options.valueSchemas = hasSchemas
  if unwraps {
    var unwrap = UnwrapOptions()
    unwrap.addFields = ["op", "source.ts_ms"]
    options.unwrap = unwrap
  }
  var encoder = EventEncoder(options: options, catalog: .builtIn)
  try measure("decode + encode, \(name)") { row in
    guard case .insert(_, _, let new) = try decoder.decode(message) else { return 0 }
    source.lsn = LSN(27_813_176 + UInt64(row))
    let events = try encoder.events(
      for: .create(new), of: orders, source: source, now: 1_795_239_505_558_760_638)
    return (events[0].value?.count ?? 0) + (events[0].key?.count ?? 0)
  }
}
