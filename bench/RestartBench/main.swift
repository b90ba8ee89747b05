// What the return of a node with much data costs: three nodes with as many gigabytes each, single
// records at a rate, and one node is killed, stays away, and is started again.
//
//   swift build -c release --product martlet --product RestartBench
//   .build/release/RestartBench [--gigabytes 10] [--rate 5000] [--away 10]
//
// Prints how long the node took until it answered as the holder of its partitions and until it had
// all that the others have, the latencies before, while and after, and the memory of the nodes. A
// record's latency counts from when it was due. Writes the gigabytes for each node, and two more,
// into a temporary folder, which is deleted; there must be room for them.
internal import BenchNodes
internal import Broker
internal import CLinux
import Client
internal import Glibc
internal import LocalCluster
internal import Platform

let partitions: Int32 = 12
let topic = "restart"

/// Single records at a rate, on a thread of its own, each counted where the time it was due in
/// falls.
final class Writer: Sendable {
  private struct State {
    var phases: [LatencySketch] = [LatencySketch()]
    var isStopped = false
    var open = 0
    var hasEnded = false
    var failed = 0
  }

  private let state = Condition(State())

  init(_ client: Client, rate: Int) throws {
    var options = Producer.Options()
    options.lingerMilliseconds = 0
    let producer = try Producer(blocking: client, options)
    let value = [UInt8](repeating: 5, count: 1024)
    let interval = UInt64(1_000_000_000 / rate)
    Thread.start("writer") { [state] in
      martlet_timer_slack(1)
      var due = MonotonicClock.nanoseconds()
      var number = 0
      while !state.withLock({ $0.isStopped }) {
        let now = MonotonicClock.nanoseconds()
        if now < due {
          var pause = timespec(tv_sec: 0, tv_nsec: Int(due - now))
          unsafe nanosleep(&pause, nil)
        }
        let since = due
        let phase = state.withLock { state in
          state.open += 1
          return state.phases.count - 1
        }
        let record = ProducerRecord(
          topic: topic, partition: Int32(number) % partitions, key: nil, value: value)
        let isTaken = producer.enqueue(
          [record],
          acknowledged: { error in
            let took = Int64((MonotonicClock.nanoseconds() - since) / 1000)
            state.withLock { state in
              state.open -= 1
              if error == nil { state.phases[phase].add(took) } else { state.failed += 1 }
            }
          })
        if !isTaken {
          state.withLock {
            $0.open -= 1
            $0.failed += 1
          }
        }
        number += 1
        due += interval
      }
      producer.closeBlocking()
      state.withLock { $0.hasEnded = true }
      state.signal()
    }
  }

  /// What is due from now on counts anew.
  func nextPhase() { state.withLock { $0.phases.append(LatencySketch()) } }

  func stop() -> (phases: [LatencySketch], failed: Int) {
    state.withLock { $0.isStopped = true }
    return state.wait(until: \.hasEnded) { ($0.phases, $0.failed) }
  }
}

func fill(_ client: Client, gigabytes: Int) throws {
  let producer = try Producer(blocking: client, Producer.Options())
  let value = [UInt8](repeating: 9, count: 1024)
  let room = Condition((isFree: true, failure: ClientError?.none))
  for number in 0..<(gigabytes * 1_000_000 / 100) {
    let records = (0..<100).map { index in
      ProducerRecord(
        topic: topic, partition: Int32(number + index) % partitions, key: nil, value: value)
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
  }
  try producer.flushBlocking()
  producer.closeBlocking()
  if let failure = room.withLock({ $0.failure }) { throw failure }
}

/// In megabytes: all that is resident, and what of it is the process's own.
func memory(of process: Int32) throws -> (all: Int, own: Int) {
  guard let file = unsafe fopen("/proc/\(process)/status", "r") else {
    throw BenchError("process \(process) is gone")
  }
  defer { unsafe fclose(file) }
  var found = ["VmRSS:": 0, "RssAnon:": 0]
  var line = [CChar](repeating: 0, count: 256)
  while unsafe fgets(&line, 256, file) != nil {
    let text = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let words = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard words.count >= 2, found[String(words[0])] != nil else { continue }
    found[String(words[0])] = (Int(words[1]) ?? 0) / 1024
  }
  return (found["VmRSS:", default: 0], found["RssAnon:", default: 0])
}

func showMemory(_ cluster: LocalCluster, _ when: String) throws {
  let found = try cluster.watch.rows.compactMap(\.process).map(memory)
  let text = found.map { "\($0.all) (\($0.own) its own)" }.joined(separator: ", ")
  print("memory of the nodes \(when), in MB: \(text)")
  fflush(nil)
}

/// Keeps an eye on the nodes for so long, or until all have everything. Milliseconds.
@discardableResult
func watch(_ cluster: LocalCluster, seconds: Int, untilWhole: Bool = false) throws -> UInt64 {
  let pause = Condition(())
  let start = MonotonicClock.nanoseconds()
  while true {
    for event in try cluster.turn() { print("  \(event.text)") }
    let milliseconds = (MonotonicClock.nanoseconds() - start) / 1_000_000
    if untilWhole, cluster.watch.isWhole { return milliseconds }
    guard milliseconds < seconds * 1000 else {
      guard !untilWhole else { throw BenchError("not all nodes are whole within \(seconds) s") }
      return milliseconds
    }
    pause.wait(until: { _ in false }, milliseconds: 5) { _ in }
  }
}

/// Milliseconds until a client that knows only this node is told of its topics. It tries again at
/// once: how long clients wait before they do is not the node's time.
func serving(_ address: String, since start: UInt64) throws -> UInt64 {
  var options = ClientOptions()
  options.reconnectBackoffMilliseconds = 1
  options.reconnectBackoffMaxMilliseconds = 2
  let client = try Client(bootstrap: [address], options: options)
  defer { client.close() }
  while true {
    let found = try? client.wait { client.describeTopics([topic], $0) }
    if case .success? = found?[topic] { return (MonotonicClock.nanoseconds() - start) / 1_000_000 }
    guard MonotonicClock.nanoseconds() - start < 60_000_000_000 else {
      throw BenchError("the node does not answer within 60 s")
    }
  }
}

let gigabytes = option("gigabytes", 10)
let directory = try TemporaryDirectory("martlet-restart")
defer { directory.remove() }
var space = statvfs()
guard unsafe statvfs(directory.path, &space) == 0,
  UInt64(space.f_bavail) * UInt64(space.f_frsize) > UInt64(3 * (gigabytes + 2)) << 30
else { throw BenchError("\(directory.path) has less than \(3 * (gigabytes + 2)) GB free") }
guard let ports = Socket.freePorts(6) else { throw BenchError("this host has no free ports") }
let members = (0..<3).map { index in
  ClusterMember(
    id: Int32(index + 1), client: SocketAddress(host: "127.0.0.1", port: ports[2 * index]),
    peer: SocketAddress(host: "127.0.0.1", port: ports[2 * index + 1]))
}
var options = LocalCluster.Options(directory: directory.path, members: members)
options.executable =
  Console.executable.split(separator: "/", omittingEmptySubsequences: false)
  .dropLast().joined(separator: "/") + "/martlet"
let cluster = try LocalCluster(options)
defer { cluster.stop() }
try watch(cluster, seconds: 30, untilWhole: true)
let client = try Client(bootstrap: cluster.bootstrap)
_ = try client.wait { client.createTopics([NewTopic(topic, partitions: partitions)], $0) }
let filling = MonotonicClock.nanoseconds()
try fill(client, gigabytes: gigabytes)
let took = Double(MonotonicClock.nanoseconds() - filling) / 1e9
print("\(gigabytes) GB of 1 KiB records for each node in \(Int(took)) s")
try showMemory(cluster, "after it")
try watch(cluster, seconds: 60, untilWhole: true)
let seconds = option("away", 10)
let writer = try Writer(client, rate: option("rate", 5000))
try watch(cluster, seconds: 2)
writer.nextPhase()
try watch(cluster, seconds: seconds)
try showMemory(cluster, "at \(option("rate", 5000)) records a second")
writer.nextPhase()
cluster.hold(3)
cluster.kill(3)
try watch(cluster, seconds: seconds)
writer.nextPhase()
cluster.release(3)
_ = try cluster.turn()
let answers = try serving(cluster.bootstrap[2], since: MonotonicClock.nanoseconds())
let whole = try watch(cluster, seconds: 120, untilWhole: true)
print(
  "killed, and started again after \(seconds) s: it serves after \(answers) ms (aim 500), has all "
    + "after \(answers + whole) ms")
try watch(cluster, seconds: seconds)
writer.nextPhase()
try watch(cluster, seconds: seconds)
let (phases, failed) = writer.stop()
for (name, sketch) in zip(
  ["before:            ", "while it is away:  ", "while it returns:  ", "after:             "],
  phases.dropFirst())
{
  print("  \(name)\(quantiles(sketch)); \(sketch.count) records")
}
print("  given up: \(failed)")
try showMemory(cluster, "at the end")
client.close()
