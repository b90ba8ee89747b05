internal import Bytes

/// C18: for how long nothing is acknowledged, and what was broken then.
///
/// A gap goes from one acknowledgement of a partition to its next, or from when something was asked
/// for. The part of it in which a majority of the nodes was well is the cluster's own time. A fault
/// has a part in every gap that its time touches: an answer that was on its way when the fault
/// began must not hide what came after. Who leads which partition is known as far as it was told: a
/// failover is what a partition needs whose leader was taken away, not what all others go on with.
struct Availability {
  private struct Fault {
    var kind: String
    var nodes: [Int32]
    /// What its nodes led when it began; nil if that is not known, or it takes no node away.
    var led: Set<Int32>?
    var ended = UInt64.max
    /// The longest gap that it has a part in, by partition, in the cluster's own time.
    var gaps: [Int32: UInt64] = [:]
  }

  private struct Load {
    var open = 0
    var since: UInt64 = 0
  }

  struct Kind {
    var count = 0
    /// The longest gap that such a fault has a part in, whether a majority was well or not.
    var longest: UInt64 = 0
    /// For each such fault and each partition that its nodes led, the longest gap in the cluster's
    /// own time.
    var failovers: [UInt64] = []
  }

  /// Zero: nobody has said; then a majority is always well.
  var nodes = 0
  private(set) var lastFaultEvent: UInt32 = 0
  private var faults: [Fault] = []
  /// Indices of those that there are now, by their numbers.
  private var active: [Int32: Int] = [:]
  /// Of those that there were, in the order in which they ended.
  private var over: [Int] = []
  private var loads: [Int32: Load] = [:]
  /// By partition: who was said last to lead it.
  private var leaders: [Int32: (node: Int32, epoch: LeaderEpoch)] = [:]
  private var isWell = true
  private var wellSince: UInt64 = 0
  private var kinds: [String: Kind] = [:]
  private var quiet = Kind()
  /// Own time that ended because the majority did, by partition, to be judged with the rest.
  private var before: [Int32: UInt64] = [:]

  /// Kinds that are there now, each once, in order.
  var kindsNow: [String] { Set(active.values.map { faults[$0].kind }).sorted() }

  mutating func began(
    _ fault: Int32, _ kind: String, _ nodes: [Int32], _ time: UInt64, _ event: UInt32
  ) -> Bool {
    guard active[fault] == nil else { return false }
    lastFaultEvent = event
    active[fault] = faults.count
    var led: Set<Int32>?
    if !nodes.isEmpty, !leaders.isEmpty {
      led = Set(leaders.filter { nodes.contains($0.value.node) }.keys)
    }
    faults.append(Fault(kind: kind, nodes: nodes, led: led))
    kinds[kind, default: Kind()].count += 1
    changed(time)
    return true
  }

  mutating func led(_ partition: Int32, _ epoch: LeaderEpoch, _ node: Int32) {
    if let known = leaders[partition], known.epoch >= epoch { return }
    leaders[partition] = (node, epoch)
  }

  mutating func ended(_ fault: Int32, _ time: UInt64) -> Bool {
    guard let index = active.removeValue(forKey: fault) else { return false }
    faults[index].ended = time
    over.append(index)
    changed(time)
    return true
  }

  private mutating func changed(_ time: UInt64) {
    let away = Set(active.values.flatMap { faults[$0].nodes }).count
    let wasWell = isWell
    isWell = nodes == 0 || (nodes - away) * 2 > nodes
    if wasWell, !isWell {
      for (partition, load) in loads where load.open > 0 {
        before[partition] = max(before[partition] ?? 0, own(load, time))
      }
    } else if !wasWell, isWell {
      wellSince = time
    }
  }

  private func own(_ load: Load, _ time: UInt64) -> UInt64 {
    let start = max(load.since, wellSince)
    return time > start ? time - start : 0
  }

  mutating func asked(_ partition: Int32, _ time: UInt64) {
    var load = loads[partition] ?? Load()
    if load.open == 0 { load.since = time }
    load.open += 1
    loads[partition] = load
  }

  mutating func answered(_ partition: Int32) { loads[partition]?.open -= 1 }

  /// The longest time of its own that the cluster took for this acknowledgement.
  mutating func acknowledged(_ partition: Int32, _ time: UInt64) -> UInt64 {
    guard let load = loads[partition] else { return 0 }
    let whole = time - min(load.since, time)
    let own = max(isWell ? own(load, time) : 0, before.removeValue(forKey: partition) ?? 0)
    note(partition, whole, own, since: load.since)
    loads[partition]?.since = time
    return own
  }

  private mutating func note(
    _ partition: Int32, _ whole: UInt64, _ own: UInt64, since: UInt64
  ) {
    var touched = false
    for index in active.values {
      note(index, partition, whole, own)
      touched = true
    }
    for index in over.reversed() {
      guard faults[index].ended >= since else { break }
      note(index, partition, whole, own)
      touched = true
    }
    if !touched { quiet.longest = max(quiet.longest, whole) }
  }

  private mutating func note(_ fault: Int, _ partition: Int32, _ whole: UInt64, _ own: UInt64) {
    let kind = faults[fault].kind
    if whole > kinds[kind]?.longest ?? 0 { kinds[kind]?.longest = whole }
    guard faults[fault].led?.contains(partition) ?? true else { return }
    if own >= faults[fault].gaps[partition] ?? 0 { faults[fault].gaps[partition] = own }
  }

  /// For partitions that wait for an acknowledgement when the history ends, their gaps end with it.
  mutating func endOpenGaps(_ time: UInt64) -> [(Int32, UInt64)] {
    loads.keys.sorted().filter { loads[$0]?.open ?? 0 > 0 }.map { ($0, acknowledged($0, time)) }
  }

  func figures() -> [HistoryReport.FaultFigures] {
    var kinds = kinds
    for fault in faults { kinds[fault.kind]?.failovers += fault.gaps.values }
    let named = kinds.sorted { $0.key < $1.key } + [("none", quiet)]
    return named.map { HistoryReport.FaultFigures(kind: $0.0, $0.1) }
  }
}
