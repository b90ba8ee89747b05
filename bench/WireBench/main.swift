// What decoding and encoding cost per partition, for the four messages that clients send all the
// time, each with 100 partitions of one topic.
//
//   swift build -c release --product WireBench && .build/release/WireBench

import KafkaWire

let partitionCount: Int32 = 100
let topicId = UUID16(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)

/// The best of many rounds: the cost without what else the machine was doing.
func nanosecondsPerPartition(_ work: () throws -> Void) rethrows -> Double {
  let clock = ContinuousClock()
  var best = Duration.seconds(1)
  for _ in 0..<50 {
    let time = try clock.measure { for _ in 0..<200 { try work() } }
    best = min(best, time)
  }
  let nanoseconds = Double(best.components.attoseconds) / 1e9
  return nanoseconds / 200 / Double(partitionCount)
}

@inline(never) func consume<T>(_ value: T) {}

func measure<Message: WireMessage>(_ name: String, _ message: Message, version: Int16) throws {
  let bytes = try message.encoded(version: version)[...]
  let decode = try nanosecondsPerPartition {
    consume(try Message.decode(bytes, version: version))
  }
  let encode = try nanosecondsPerPartition { consume(try message.encoded(version: version)) }
  print(
    "\(name) v\(version): \(bytes.count) bytes, ns per partition:",
    "decode \(tenths(decode)), encode \(tenths(encode))")
}

func tenths(_ value: Double) -> String {
  let tenths = Int(value * 10 + 0.5)
  return "\(tenths / 10).\(tenths % 10)"
}

let fetchRequest = FetchRequest.with {
  $0.topics = [
    .with {
      $0.topic = "orders"
      $0.topicId = topicId
      $0.partitions = (0..<partitionCount).map { partition in
        .with {
          $0.partition = partition
          $0.fetchOffset = 1_000_000
          $0.partitionMaxBytes = 1 << 20
        }
      }
    }
  ]
}
let fetchResponse = FetchResponse.with {
  $0.responses = [
    .with {
      $0.topic = "orders"
      $0.topicId = topicId
      $0.partitions = (0..<partitionCount).map { partition in
        .with {
          $0.partitionIndex = partition
          $0.highWatermark = 1_000_000
          $0.abortedTransactions = nil
          $0.records = .bytes(ArraySlice(repeating: 0, count: 100))
        }
      }
    }
  ]
}
let produceRequest = ProduceRequest.with {
  $0.acks = -1
  $0.topicData = [
    .with {
      $0.name = "orders"
      $0.topicId = topicId
      $0.partitionData = (0..<partitionCount).map { partition in
        .with {
          $0.index = partition
          $0.records = ArraySlice(repeating: 0, count: 100)
        }
      }
    }
  ]
}
let produceResponse = ProduceResponse.with {
  $0.responses = [
    .with {
      $0.name = "orders"
      $0.topicId = topicId
      $0.partitionResponses = (0..<partitionCount).map { partition in
        .with {
          $0.index = partition
          $0.baseOffset = 1_000_000
        }
      }
    }
  ]
}

for version: Int16 in [11, 18] { try measure("Fetch request", fetchRequest, version: version) }
for version: Int16 in [11, 18] { try measure("Fetch response", fetchResponse, version: version) }
for version: Int16 in [7, 13] { try measure("Produce request", produceRequest, version: version) }
for version: Int16 in [7, 13] { try measure("Produce response", produceResponse, version: version) }

var external = fetchResponse
for index in external.responses[0].partitions.indices {
  external.responses[0].partitions[index].records = .external(size: 4096)
}
let frame = try nanosecondsPerPartition {
  consume(try Frame.response(external, version: 18, correlationId: 1).segments)
}
print("Fetch response v18 with external records, encode to segments: \(tenths(frame))")
