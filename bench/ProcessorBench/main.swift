import Platform
import Processors

// How fast events are decoded, turned into windows, and committed to SQLite, on one thread.
// `swift run -c release ProcessorBench`

let count = 200_000

func event(_ id: Int, schema: String) -> [UInt8] {
  let time = 1_795_255_200_000_000 + id * 1000
  let status = id % 2 == 0 ? "completed" : "pending"
  return Array(
    """
    {\(schema)"payload":{"before":null,"after":{"order_id":\(id),"user_id":7,\
    "total_amount":"\(id % 500).25","status":"\(status)","created_at":\(time),\
    "updated_at":\(time)},\
    "source":{"version":"3.6.3.Final","connector":"postgresql","name":"pg","ts_ms":\(time / 1000),\
    "snapshot":"false","db":"ecommerce","sequence":"[\\"27813120\\",\\"27813176\\"]",\
    "ts_us":\(time),"ts_ns":\(time * 1000),"schema":"public","table":"orders","txId":781,\
    "lsn":27813176,"xmin":null,\
    "origin":null,"origin_lsn":null},"transaction":null,"op":"c","ts_ms":\(time / 1000),\
    "ts_us":\(time),"ts_ns":\(time * 1000)}}
    """.utf8)
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
  let start = MonotonicClock.nanoseconds()
  try body()
  return Double(MonotonicClock.nanoseconds() - start) / 1e9
}

let field = "{\"type\":\"string\",\"optional\":true,\"field\":\"f\"},"
let fields = String(repeating: field, count: 60).dropLast()
let schema = "\"schema\":{\"type\":\"struct\",\"fields\":[\(fields)]},"
for (name, schema) in [("plain", ""), ("with a schema of 3 KB", schema)] {
  let events = (0..<count / 4).map { event($0, schema: schema) }
  let bytes = events.reduce(0) { $0 + $1.count }
  let decoder = EventDecoder()
  var sum = ExactDecimal.zero
  let time = try seconds {
    for event in events {
      guard let row = try decoder.event(event[...])?.after,
        let amount = try row.decimal("total_amount"), try row.text("status") != nil
      else { continue }
      sum = try sum + amount
    }
  }
  let rate = Int(Double(bytes) / time / 1e6)
  print("decode, \(name): \(rate) MB/s, \(Int(Double(events.count) / time)) events/s (sum \(sum))")
}

let records = (0..<count).map { id in
  InputRecord(
    partition: Int32(id % 12), offset: Int64(id / 12), timestamp: 0, key: nil,
    value: event(id, schema: "")[...])
}
let path = "/tmp/martlet-processor-bench-\(UInt64.random(in: 0 ... .max)).db"
let sink = SQLiteSink(path: path)
let task = Revenue.task()
_ = try sink.open(processor: "bench", sourceTopic: "orders", tables: task.tables)
let decoder = EventDecoder()
var sequence: Int64 = 0
let total = try seconds {
  for start in stride(from: 0, to: count, by: 10_000) {
    var work = task.begin(
      Array(records[start..<start + 10_000]), progress: [:], decoder: decoder)
    while !work.needs.isEmpty { work.supply(try sink.load(work.needs)) }
    let effects = try work.finish()
    try sink.commit(
      SinkBatch(previousSequence: sequence, sequence: sequence + 1, effects: effects))
    sequence += 1
  }
}
print("revenue into SQLite, batches of 10,000: \(Int(Double(count) / total)) events/s")
sink.close()
