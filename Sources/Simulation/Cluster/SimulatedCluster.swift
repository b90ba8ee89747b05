internal import Broker
internal import Bytes
internal import Checks
internal import KafkaWire
internal import LogStore
internal import Platform
internal import Records
internal import Replication

// A whole cluster in simulated time: the production nodes and stores on virtual disks, a network,
// clients, and what befalls them.
//
//     queue of (time, order) ──▶ a frame, a completion, a request, a timer
//                                     │ one node takes it in
//                                     ▼
//                   turn ──▶ frames, requests' answers, disk operations ──▶ queue
//                     └──▶ invariants
//
// (1) One seed says everything: who is first, how long everything takes, what breaks.
// (2) Nothing is iterated whose order hashing decides.
// (3) Nodes are the production code; what the server does around them is done here.

/// What a simulation has found.
package struct SimulationResult: Sendable {
  package var options: SimulationOptions
  /// What is wrong; none if all is well.
  package var violations: [String]
  /// Of all that was done: the same seed twice gives the same.
  package var hash: UInt64
  package var simulatedSeconds: Double
  package var events: Int
  package var acknowledged: Int
  package var elections: UInt64
  /// Of each kind, those that were injected.
  package var faults: [SimulatedFault: Int]
  /// The last part of it, if it was asked for.
  package var trace: [String]
}

package final class SimulatedCluster {
  let options: SimulationOptions
  var random: SeededGenerator
  var queue = EventQueue()
  /// Nanoseconds.
  var now: Int64 = 0
  var nodes: [SimulatedNode] = []
  var links: [SimulatedLink?]
  /// The last that were broken.
  var broken: [SimulatedLink?]
  /// From whom to whom nothing passes, and since when.
  var blocked: [Int64?]
  /// How many times as slow it is to and from a node.
  var slowness: [Int64]
  var clients: [SimulatedClient] = []
  let judge: Judge
  var violations: [String] = []
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  var eventCount = 0
  var faults: [SimulatedFault: Int] = [:]
  var isTracing: Bool
  var trace: [String] = []
  /// All that was traced, at once.
  var tracer: ((String) -> Void)?
  /// Values of records, request numbers.
  var nextValue: UInt64 = 0
  var nextRequest: UInt64 = 0
  var nextConnection: UInt64 = 0
  var pending: [UInt64: PendingRequest] = [:]
  /// The phase in which nothing breaks any more.
  var isMending = false
  /// Clients begin nothing new.
  var isEnding = false
  /// A disk has lost something or is to.
  var hasLostDisk = false
  var diskFaultTime: Int64?
  /// The node that has come back with older files, until all have again what they are to have.
  var rolledBack: SimulatedNode?
  var groupsSeen: [GroupID: GroupSeen] = [:]
  // Of the topic's partitions.
  /// What clients have asked to be deleted.
  var deletedBelow: [Int32: Int64] = [:]
  var startsSeen: [Int32: Int64] = [:]
  /// Where batches begin that were acknowledged.
  var batchStarts: [Int32: [Int64]] = [:]
  var elections: UInt64 = 0

  static let millisecond: Int64 = 1_000_000
  static let second: Int64 = 1_000_000_000

  package init(_ options: SimulationOptions, isTracing: Bool = false) {
    self.options = options
    self.isTracing = isTracing
    random = SeededGenerator(seed: options.seed)
    links = Array(repeating: nil, count: options.nodes * options.nodes)
    broken = links
    blocked = Array(repeating: nil, count: options.nodes * options.nodes)
    slowness = Array(repeating: 1, count: options.nodes)
    judge = Judge()
    for id in 1...options.nodes {
      let node = SimulatedNode(id: Int32(id), seed: random.next())
      node.disk.faults.slowness = options.diskSlowness
      node.disk.faults.forgetsSyncs = options.forgetsSyncs
      if options.drift > 0 {
        node.drift = Int64(random.below(2 * options.drift + 1) - options.drift) * 1000
      }
      nodes.append(node)
    }
  }

  subscript(_ id: Int32) -> SimulatedNode { nodes[Int(id) - 1] }

  // MARK: Time

  func after(_ delay: Int64, _ action: @escaping () -> Void) { queue.add(at: now + delay, action) }

  func milliseconds(_ count: Int) -> Int64 { Int64(count) * Self.millisecond }

  /// About so long: from nothing to twice.
  func around(_ time: Int64) -> Int64 { Int64(random.below(Int(max(1, 2 * time)))) }

  func runs(until time: Int64, while isWanted: () -> Bool = { true }) {
    while violations.isEmpty, isWanted(), let next = queue.nextTime, next <= time {
      guard let item = queue.next() else { return }
      now = item.time
      eventCount += 1
      item.action()
    }
    if violations.isEmpty, isWanted() { now = max(now, time) }
  }

  // MARK: Saying

  /// Takes part in the hash of the run.
  func mix(_ value: UInt64) {
    hash = (hash ^ value) &* 0x100_0000_01b3
    hash ^= hash >> 29
  }

  func say(_ text: @autoclosure () -> String) {
    guard isTracing else { return }
    let micro = now / 1000
    let line = "\(micro / 1_000_000).\(String(1_000_000 + micro % 1_000_000).dropFirst()) \(text())"
    if let tracer { return tracer(line) }
    if trace.count >= 4000 { trace.removeFirst(2000) }
    trace.append(line)
  }

  func violated(_ text: String) {
    say("VIOLATION \(text)")
    guard violations.count < 20 else { return }
    violations.append(text)
  }

  func observe(_ process: Int32, _ what: HistoryEvent.What) {
    judge.observe(HistoryEvent(time: UInt64(now), process: process, what))
    if judge.violationCount > 0, violations.isEmpty {
      for violation in judge.violations {
        violated(
          "C\(violation.check.rawValue) partition \(violation.partition): \(violation.message)")
      }
    }
  }

  // MARK: A whole run

  /// From the first start to the last check.
  package func run() -> SimulationResult {
    say(options.text)
    observe(0, .cluster(nodes: options.nodes))
    for partition in 0..<options.partitions where options.trims {
      observe(0, .partition(partition, isCompacted: false, trims: true))
    }
    for node in nodes { start(node) }
    makeClients()
    if !options.faults.isEmpty { scheduleFault() }
    runs(until: options.seconds * Self.second)
    if violations.isEmpty { mend() }
    if violations.isEmpty { finish() }
    for node in nodes { elections += node.node?.metrics.elections ?? 0 }
    let report = judge.finish()
    if violations.isEmpty, !report.isClean { violated(report.text) }
    let result = SimulationResult(
      options: options, violations: violations, hash: hash,
      simulatedSeconds: Double(now) / Double(Self.second), events: eventCount,
      acknowledged: report.recordsAcknowledged, elections: elections, faults: faults,
      trace: trace)
    tearDown()
    return result
  }

  /// Everything that is scheduled holds the cluster, which holds it.
  private func tearDown() {
    queue.removeAll()
    pending = [:]
    for client in clients { client.end() }
    clients = []
    links = []
    broken = []
    for node in nodes {
      node.missed = []
      node.node = nil
      node.store = nil
    }
  }
}
