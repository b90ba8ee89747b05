// What it costs to look at records: one 64 KiB batch of 100-byte records, uncompressed.
//
//   swift run -c release RecordsBench
//
// Prints the best of several rounds, because everything else on the machine only adds.
import Bytes
import Records

let recordsValueSize = 92
let batchSize = 64 << 10
let rounds = 15

func batch(_ codec: Codec) -> [UInt8] {
  var compressor = Compressor()
  var builder = RecordBatchBuilder(codec: codec, bytesMax: batchSize)
  var seed: UInt64 = 1
  while true {
    // Numbers as text: compresses about as rows do.
    let value = Array(
      (0..<recordsValueSize).map { _ -> UInt8 in
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return 0x30 + UInt8((seed >> 60) & 7)
      })
    let time = Timestamp(1_700_000_000_000 + Int64(builder.recordsCount / 4))
    do {
      try builder.append(key: nil, value: value[...], timestamp: time)
    } catch {
      return builder.build(&compressor)
    }
  }
}

/// Nanoseconds of one `body`, the best round's average.
func measure(_ iterations: Int, _ body: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock()
  var best = Double.infinity
  for _ in 0..<rounds {
    let taken = try clock.measure { for _ in 0..<iterations { try body() } }
    let (seconds, attoseconds) = taken.components
    best = min(best, (Double(seconds) * 1e9 + Double(attoseconds) / 1e9) / Double(iterations))
  }
  return best
}

func show(_ what: String, _ value: Double, _ unit: String) {
  print("\(what): \((value * 100).rounded() / 100) \(unit)")
}

/// Global variables are checked for exclusive access at run time; these are not to be measured.
func run() throws -> Int {
  var decompressor = Decompressor()
  var compressor = Compressor()
  var sum = 0
  let now = Timestamp(1_700_000_000_000)
  let rules = ProduceRules(produceVersion: 9)

  for codec in Codec.allCases {
    let bytes = batch(codec)
    let batch = try RecordBatch(bytes)
    let count = Double(batch.header.recordsCount)
    let iterations = codec == .uncompressed ? 500 : 50
    print("\(codec.name): \(batch.header.recordsCount) records, \(bytes.count) bytes")
    let walk = try measure(iterations) {
      try batch.forEachRecord(&decompressor) { record, _ in
        sum &+= record.value?.count ?? 0
        return .next
      }
    }
    show("  forEachRecord", walk / count, "ns/record")
    let values = try measure(iterations) { sum &+= try batch.records(&decompressor).count }
    show("  records", values / count, "ns/record")
    let check = try measure(iterations) {
      let produced = try ProducedBatch.validate(
        bytes[...], rules, now: now, &decompressor, &compressor)
      sum &+= produced.bytes.count
    }
    show("  produce validation with CRC", check / count, "ns/record")
  }

  let plain = batch(.uncompressed)
  let crc = measure(2000) { sum &+= Int(CRC32C.of(plain[...])) }
  show("CRC-32C of \(plain.count) bytes", Double(plain.count) / crc, "GB/s")
  let header = try measure(500_000) { sum &+= try RecordBatchHeader(plain[...]).batchSize }
  show("header", header, "ns")
  let values = Array("0123456789".utf8)[...]
  let build = try measure(50) {
    var builder = RecordBatchBuilder(bytesMax: batchSize)
    for _ in 0..<600 { try builder.append(key: values, value: values, timestamp: now) }
    sum &+= builder.build(&compressor).count
  }
  show("append and build, uncompressed", build / 600, "ns/record")
  return sum
}

// Printed, so that nothing of it can be left out.
print("(\(try run()))")
