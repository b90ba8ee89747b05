// How long a partition takes no records after its leader's end, as a raw client sees it: three
// nodes, 12 partitions, a producer's load beside it, and again and again one node is killed,
// stopped, or asked to give its partitions back.
//
//   swift build -c release --product martlet --product FailoverBench
//   .build/release/FailoverBench [--rounds 200] [--stops 50] [--load 10000]
//
// The client asks every node every millisecond from the moment its partition's leader fails. The
// gap is what lies between two acknowledgements. Writes less than 4 GB into a temporary folder,
// which is deleted.
internal import BenchNodes
internal import CLinux
import Client
internal import Glibc
internal import KafkaWire
internal import Platform

/// One loop over all connections of all probes.
struct Prober {
  static let metadataVersion: Int16 = 9
  let probes: [Probe]
  let inquiry: [Link]
  private var inquiryDue: UInt64 = 0
  private(set) var view: [MetadataResponse.Partition] = []
  private let question: [UInt8]
  private let topic: String

  init(topic: String, partitions: Int32, _ addresses: [SocketAddress]) throws {
    self.topic = topic
    probes = try (0..<partitions).map {
      try Probe(topic: topic, partition: $0, addresses)
    }
    inquiry = try addresses.map(Link.init)
    let request = MetadataRequest.with { $0.topics = [.with { $0.name = topic }] }
    question = try Frame.request(
      request, version: Self.metadataVersion, correlationId: 1, clientId: "failover"
    ).bytes
  }

  /// Goes on until `isDone` or the time is up; false if it was.
  mutating func run(milliseconds: UInt64, until isDone: (Self) -> Bool) throws -> Bool {
    let end = MonotonicClock.nanoseconds() + milliseconds * 1_000_000
    while !isDone(self) {
      guard MonotonicClock.nanoseconds() < end else { return false }
      try turn()
    }
    return true
  }

  private mutating func turn() throws {
    var now = MonotonicClock.nanoseconds()
    for probe in probes { probe.tick(now) }
    if inquiryDue <= now {
      for link in inquiry {
        if let asked = link.askedAt, now - asked > 1_000_000_000 { link.close() }
        if !link.isBusy { link.ask(question, now: now) }
      }
      inquiryDue = now + 20_000_000
    }
    let links = probes.flatMap(\.links) + inquiry
    var waiting: [(Int, pollfd)] = []
    for (index, link) in links.enumerated() {
      guard let descriptor = link.descriptor else { continue }
      let events = Int16(POLLIN) | (link.wantsToWrite ? Int16(POLLOUT) : 0)
      waiting.append((index, pollfd(fd: descriptor, events: events, revents: 0)))
    }
    var polled = waiting.map(\.1)
    guard unsafe poll(&polled, nfds_t(polled.count), 1) > 0 else { return }
    now = MonotonicClock.nanoseconds()
    let nodes = inquiry.count
    for (place, entry) in waiting.enumerated() where polled[place].revents != 0 {
      let index = entry.0
      if index < probes.count * nodes {
        try probes[index / nodes].proceed(index % nodes, now)
      } else if let bytes = inquiry[index - probes.count * nodes].proceed() {
        let answer = try ResponseFrame(bytes, api: .metadata, version: Self.metadataVersion)
        let response = try MetadataResponse.decode(answer.body, version: Self.metadataVersion)
        if let found = response.topics.first, found.errorCode == .none { view = found.partitions }
      }
    }
  }

  mutating func forget() { view = [] }

  /// All replicas are in sync and every node leads as many partitions.
  var isBalanced: Bool {
    guard view.count == probes.count else { return false }
    var led: [Int32: Int] = [:]
    for partition in view {
      guard partition.isrNodes.count == inquiry.count else { return false }
      led[partition.leaderId, default: 0] += 1
    }
    return led.count == inquiry.count && Set(led.values).count == 1 && allServed
  }

  /// The client has acknowledgements from the one it takes for the leader.
  var allServed: Bool { probes.allSatisfy { $0.leader != nil } }
}

/// What was seen of the rounds of one kind.
struct Gaps {
  var led = LatencySketch()
  var others = LatencySketch()
  var returns = LatencySketch()
  var meanwhile = LatencySketch()
  var rounds = 0

  func show(_ what: String) {
    print("\(what), \(rounds) times:")
    for (name, sketch) in [
      ("partitions that the node led:     ", led), ("partitions that others led:       ", others),
      ("partitions given back to it:      ", returns),
      ("all, while it starts and returns: ", meanwhile),
    ] {
      print("  \(name)\(quantiles(sketch)); \(sketch.count) samples")
    }
    // Also where nobody watches a terminal.
    fflush(nil)
  }
}

func patientRun(_ prober: inout Prober, _ what: String, until isDone: (Prober) -> Bool) throws {
  guard try prober.run(milliseconds: 30_000, until: isDone) else {
    let leaders = prober.view.map { "\($0.leaderId) of \($0.isrNodes)" }
    throw BenchError("\(what) did not come within 30 s: led by \(leaders)")
  }
}

/// Takes the node away with `end`, waits until all is served by others, gives it back with
/// `restore` and waits until it leads its share again.
func round(
  _ prober: inout Prober, _ gaps: inout Gaps, victim: Int, end: () -> Void,
  restore: () throws -> Void
) throws {
  try patientRun(&prober, "balance") { $0.isBalanced }
  // Each has a moment of calm to be measured against.
  _ = try prober.run(milliseconds: 200) { _ in false }
  let leaders = prober.probes.map(\.leader)
  for probe in prober.probes { probe.begin() }
  end()
  let ended = MonotonicClock.nanoseconds()
  try patientRun(&prober, "service by the others") { prober in
    prober.probes.allSatisfy { probe in
      probe.acknowledgedAt > ended && probe.leader != victim && probe.leader != nil
    }
  }
  _ = try prober.run(milliseconds: 100) { _ in false }
  for (probe, leader) in zip(prober.probes, leaders) {
    let gap = Int64(probe.gap / 1000)
    if leader == victim { gaps.led.add(gap) } else { gaps.others.add(gap) }
  }
  gaps.rounds += 1
  for probe in prober.probes { probe.begin() }
  let before = prober.probes.map(\.leader)
  try restore()
  prober.forget()
  try patientRun(&prober, "the node's return") { $0.isBalanced }
  for (probe, leader) in zip(prober.probes, before) where probe.leader != leader {
    gaps.returns.add(Int64(probe.handover / 1000))
  }
  for probe in prober.probes { gaps.meanwhile.add(Int64(probe.gap / 1000)) }
}

/// A producer of `rate` records of 1 KiB a second, over all partitions, on a thread of its own.
final class Load: Sendable {
  private let state = Condition((isStopped: false, hasEnded: false, taken: 0, failed: 0))

  init(_ client: Client, topic: String, partitions: Int, rate: Int) throws {
    var options = Producer.Options()
    options.lingerMilliseconds = 2
    let producer = try Producer(blocking: client, options)
    let value = [UInt8](repeating: 3, count: 1024)
    Thread.start("load") { [state] in
      martlet_timer_slack(1)
      var number = 0
      while rate > 0, !state.withLock({ $0.isStopped }) {
        let records = (0..<max(1, rate / 200)).map { index in
          ProducerRecord(
            topic: topic, partition: Int32((number + index) % partitions), key: nil, value: value)
        }
        number += 1
        _ = producer.enqueue(
          records,
          acknowledged: { error in
            let count = records.count
            state.withLock { if error == nil { $0.taken += count } else { $0.failed += count } }
          })
        var pause = timespec(tv_sec: 0, tv_nsec: 5_000_000)
        unsafe nanosleep(&pause, nil)
      }
      producer.closeBlocking()
      state.withLock { $0.hasEnded = true }
      state.signal()
    }
  }

  /// Ends it; how many records were acknowledged and how many were not.
  func stop() -> (taken: Int, failed: Int) {
    state.withLock { $0.isStopped = true }
    return state.wait(until: \.hasEnded) { ($0.taken, $0.failed) }
  }
}

let topic = "failover"
let partitions: Int32 = 12
let directory = try TemporaryDirectory("martlet-failover")
defer { directory.remove() }
let nodes = try BenchNodes(
  3, in: directory.path,
  settings: [
    "log.retention.bytes=100000000", "log.segment.bytes=50000000",
    "leader.imbalance.check.interval.seconds=1",
  ])
defer { nodes.stop() }
let client = try Client(bootstrap: nodes.bootstrap)
_ = try client.wait { client.createTopics([NewTopic(topic, partitions: partitions)], $0) }
var prober = try Prober(topic: topic, partitions: partitions, nodes.addresses)
let load = try Load(
  client, topic: topic, partitions: Int(partitions), rate: option("load", 10_000))
var kills = Gaps()
var stops = Gaps()
for turn in 0..<option("rounds", 200) {
  try round(
    &prober, &kills, victim: turn % 3, end: { nodes.kill(turn % 3) },
    restore: { try nodes.start(turn % 3) })
  if kills.rounds.isMultiple(of: 20) { kills.show("kill -9") }
}
for turn in 0..<option("stops", 50) {
  let process = nodes.process(turn % 3)
  try round(
    &prober, &stops, victim: turn % 3, end: { kill(process, SIGSTOP) },
    restore: { kill(process, SIGCONT) })
}
if !kills.rounds.isMultiple(of: 20) { kills.show("kill -9") }
if stops.rounds > 0 { stops.show("SIGSTOP") }
let (taken, failed) = load.stop()
print("the load's records: \(taken) acknowledged, \(failed) given up by the client")
client.close()
var refusals: [ErrorCode: Int] = [:]
for probe in prober.probes { refusals.merge(probe.refusals, uniquingKeysWith: +) }
let told = refusals.sorted { $0.key.rawValue < $1.key.rawValue }.map {
  "\($0.key.name ?? "code \($0.key.rawValue)") \($0.value)"
}
print("the probes were refused: \(told.isEmpty ? "never" : told.joined(separator: ", "))")
