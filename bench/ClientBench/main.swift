// A node in this process, or three in processes of their own, and a client over TCP: the latency
// of single records at a rate, and how fast a backlog is read. Writes at most 3 GB for each node
// into a temporary folder, which is deleted.
//
//   swift build -c release --product martlet --product ClientBench
//   .build/release/ClientBench [--nodes 3] [--seconds 75] [--rate 10000] [--backlog-megabytes 1500]
//
// A record's latency counts from the moment it was due, not from when it was sent: who waits for a
// slow one is slow too (coordinated omission).
internal import BenchNodes
internal import Broker
internal import CLinux
import Client
internal import Glibc
internal import Platform

let partitions = option("nodes", 1) == 1 ? 6 : 12

/// What the disk itself needs for 4 KiB, written in place and synced.
func diskSync(in directory: String) throws -> LatencySketch {
  let path = "\(directory)/sync"
  let file = unsafe open(path, O_RDWR | O_CREAT, 0o600)
  guard file >= 0 else { throw BenchError("\(path) cannot be made") }
  defer {
    close(file)
    unsafe unlink(path)
  }
  var page = [UInt8](repeating: 7, count: 4096)
  var sketch = LatencySketch()
  for round in 0..<2000 {
    page[0] = UInt8(truncatingIfNeeded: round)
    let start = MonotonicClock.nanoseconds()
    guard unsafe pwrite(file, page, page.count, off_t(round % 64 * 4096)) == page.count,
      fdatasync(file) == 0
    else { throw BenchError("the disk does not sync") }
    // The first round allocates the blocks.
    if round >= 64 { sketch.add(Int64((MonotonicClock.nanoseconds() - start) / 1000)) }
  }
  return sketch
}

/// MB per second of the same segments read by the disk itself, one megabyte after another.
func diskRead(in directory: String) throws -> Double {
  let disk = try FileDisk(directory: directory)
  let memory = BlockMemory(count: 1 << 20)
  var bytes = 0
  let start = MonotonicClock.nanoseconds()
  for log in try disk.names(in: "logs") {
    for name in try disk.names(in: "logs/\(log)") where name.hasSuffix(".log") {
      let file = try disk.openFile("logs/\(log)/\(name)", .existing, direct: true)
      var position: Int64 = 0
      while case .count(let count) = try disk.perform(
        .load(file, position: position, DiskBytes(memory, 0..<memory.count))), count > 0
      {
        position += count
      }
      bytes += Int(position)
      _ = try disk.perform(.close(file))
    }
  }
  return Double(bytes) / Double(MonotonicClock.nanoseconds() - start) * 1e9 / 1e6
}

func payload(_ size: Int) -> [UInt8] {
  var generator = SystemRandomNumberGenerator()
  return (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
}

func latency(_ client: Client, seconds: Int, rate: Int) throws -> LatencySketch {
  var options = Producer.Options()
  options.lingerMilliseconds = 0
  let producer = try Producer(blocking: client, options)
  let found = Condition((sketch: LatencySketch(), open: 0, failure: ClientError?.none))
  let payloads = (0..<256).map { _ in payload(1024) }
  let interval = UInt64(1_000_000_000 / rate)
  // What this thread oversleeps is no latency of anybody's.
  martlet_timer_slack(1)
  let start = MonotonicClock.nanoseconds() + 10_000_000
  // The first second is for connections and caches.
  let warm = start + 1_000_000_000
  for number in 0..<((seconds + 1) * rate) {
    let due = start + UInt64(number) * interval
    let now = MonotonicClock.nanoseconds()
    if now < due {
      var pause = timespec(tv_sec: 0, tv_nsec: Int(due - now))
      unsafe nanosleep(&pause, nil)
    }
    let record = ProducerRecord(
      topic: "latency", partition: Int32(number % partitions), key: nil,
      value: payloads[number % 256])
    found.withLock { $0.open += 1 }
    let isTaken = producer.enqueue(
      [record],
      acknowledged: { error in
        let ended = MonotonicClock.nanoseconds()
        found.withLock { state in
          state.open -= 1
          if let error { state.failure = error }
          if due >= warm { state.sketch.add(Int64((ended - due) / 1000)) }
        }
        found.signal()
      })
    guard isTaken else { throw BenchError("the producer's buffer is full") }
  }
  found.wait(until: { $0.open == 0 }) { _ in }
  producer.closeBlocking()
  if let failure = found.withLock({ $0.failure }) { throw failure }
  return found.withLock { $0.sketch }
}

func drain(_ client: Client, megabytes: Int) throws -> (produce: Double, consume: Double) {
  let producer = try Producer(blocking: client, Producer.Options())
  let value = payload(1024)
  let count = megabytes * 1024
  let room = Condition((isFree: true, failure: ClientError?.none))
  let begin = MonotonicClock.nanoseconds()
  var sent = 0
  while sent < count {
    let records = (0..<100).map { index in
      ProducerRecord(
        topic: "backlog", partition: Int32((sent / 100 + index) % partitions), key: nil,
        value: value)
    }
    while !producer.enqueue(
      records,
      acknowledged: { error in
        if let error { room.withLock { $0.failure = error } }
      })
    {
      room.withLock { $0.isFree = false }
      producer.whenRoom {
        room.withLock { $0.isFree = true }
        room.signal()
      }
      room.wait(until: { $0.isFree }) { _ in }
    }
    sent += 100
  }
  try producer.flushBlocking()
  if let failure = room.withLock({ $0.failure }) { throw failure }
  let produced = MonotonicClock.nanoseconds()
  producer.closeBlocking()
  var options = Consumer.Options()
  options.autoOffsetReset = .earliest
  let consumer = try Consumer(client, options)
  consumer.assign((0..<partitions).map { TopicPartition("backlog", Int32($0)) })
  var bytes = 0
  var records = 0
  let start = MonotonicClock.nanoseconds()
  while records < sent {
    for record in try consumer.pollBlocking(timeoutMilliseconds: 1000) {
      records += 1
      bytes += record.value?.count ?? 0
    }
  }
  let end = MonotonicClock.nanoseconds()
  consumer.closeBlocking()
  let rate = { (from: UInt64, to: UInt64) in Double(bytes) / Double(to - from) * 1e9 / 1e6 }
  return (rate(begin, produced), rate(start, end))
}

let directory = try TemporaryDirectory("martlet-bench")
defer { directory.remove() }
let started = MonotonicClock.nanoseconds()
/// A node in this process, or a cluster beside it.
let node: NodeHost?
let nodes: BenchNodes?
if option("nodes", 1) == 1 {
  var options = NodeHostOptions(directory: try directory.makeDirectory("1"))
  options.listen = SocketAddress(host: "127.0.0.1", port: 0)
  node = try NodeHost(options)
  nodes = nil
} else {
  node = nil
  nodes = try BenchNodes(option("nodes", 1), in: directory.path)
}
let client = try Client(bootstrap: nodes?.bootstrap ?? ["127.0.0.1:\(node?.port ?? 0)"])
_ = try client.wait { client.createTopics([NewTopic("first", partitions: 1)], $0) }
do {
  let producer = try Producer(blocking: client, Producer.Options())
  let isDone = Condition(false)
  let tell: @Sendable (ClientError?) -> Void = { _ in
    isDone.withLock { $0 = true }
    isDone.signal()
  }
  _ = producer.enqueue([ProducerRecord(topic: "first", value: [1])], acknowledged: tell)
  isDone.wait(until: { $0 }) { _ in }
  let took = Int64((MonotonicClock.nanoseconds() - started) / 1000)
  print("start of the node to the first acknowledged record: \(milliseconds(took)) ms")
  producer.closeBlocking()
}
for topic in ["latency", "backlog"] {
  _ = try client.wait { client.createTopics([NewTopic(topic, partitions: Int32(partitions))], $0) }
}
let rate = option("rate", 10_000)
print("4 KiB written and synced:     \(quantiles(try diskSync(in: directory.path)))")
let single = try latency(client, seconds: option("seconds", 75), rate: rate)
print("1 KiB at \(rate)/s, one by one: \(quantiles(single))")
let backlog = try drain(client, megabytes: option("backlog-megabytes", 1500))
print("1 KiB in batches, one producer: \(Int(backlog.produce)) MB/s written, then one consumer:")
let read = Int(try diskRead(in: directory.path + "/1"))
print("backlog read and decoded:     \(Int(backlog.consume)) MB/s; the disk itself: \(read) MB/s")
client.close()
node?.stop()
nodes?.stop()
