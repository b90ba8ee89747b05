/// C18: for how long nothing is acknowledged, and what was broken then.
///
/// A gap goes from one acknowledgement of a partition to its next, or from when something was asked
/// for. The part of it in which a majority of the nodes was well is the cluster's own time.
struct Availability {
  private struct Fault {
    var kind: String
    var nodes: [Int32]
  }

  private struct Load {
    var open = 0
    var since: UInt64 = 0
  }

  struct Kind {
    var count = 0
    /// The longest gap with such a fault in it, whether a majority was well or not.
    var longest: UInt64 = 0
    /// The cluster's own time of each gap in which such a fault began.
    var failovers: [UInt64] = []

    mutating func gap(_ whole: UInt64) { longest = max(longest, whole) }
  }

  /// Zero: nobody has said; then a majority is always well.
  var nodes = 0
  private(set) var lastFaultEvent: UInt32 = 0
  private var active: [Int32: Fault] = [:]
  /// Kinds that are there now, each once, in order.
  private(set) var kindsNow: [String] = []
  /// Faults that began, the latest last.
  private var begun: [(time: UInt64, kind: String)] = []
  private var loads: [Int32: Load] = [:]
  private var isWell = true
  private var wellSince: UInt64 = 0
  private var kinds: [String: Kind] = [:]
  private var quiet = Kind()
  /// Own time that ended because the majority did, by partition, to be judged with the rest.
  private var before: [Int32: UInt64] = [:]

  mutating func began(
    _ fault: Int32, _ kind: String, _ nodes: [Int32], _ time: UInt64, _ event: UInt32
  ) -> Bool {
    guard active[fault] == nil else { return false }
    lastFaultEvent = event
    active[fault] = Fault(kind: kind, nodes: nodes)
    begun.append((time, kind))
    kinds[kind, default: Kind()].count += 1
    changed(time)
    return true
  }

  mutating func ended(_ fault: Int32, _ time: UInt64) -> Bool {
    guard active.removeValue(forKey: fault) != nil else { return false }
    changed(time)
    return true
  }

  private mutating func changed(_ time: UInt64) {
    kindsNow = Set(active.values.map(\.kind)).sorted()
    let away = Set(active.values.flatMap(\.nodes)).count
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
    let own = isWell ? own(load, time) : 0
    note(whole, own, since: load.since)
    loads[partition]?.since = time
    return max(own, before.isEmpty ? 0 : before.removeValue(forKey: partition) ?? 0)
  }

  private mutating func note(_ whole: UInt64, _ own: UInt64, since: UInt64) {
    var index = begun.count
    while index > 0, begun[index - 1].time >= since {
      index -= 1
      kinds[begun[index].kind]?.failovers.append(own)
      kinds[begun[index].kind]?.gap(whole)
    }
    for kind in kindsNow { kinds[kind]?.gap(whole) }
    if kindsNow.isEmpty, index == begun.count { quiet.gap(whole) }
  }

  /// Of partitions that wait for an acknowledgement when the history ends.
  func openGaps(_ time: UInt64) -> [(Int32, UInt64)] {
    loads.filter { $0.value.open > 0 }.sorted { $0.key < $1.key }.map {
      ($0.key, max(isWell ? own($0.value, time) : 0, before[$0.key] ?? 0))
    }
  }

  func figures() -> [HistoryReport.FaultFigures] {
    let named = kinds.sorted { $0.key < $1.key } + [("none", quiet)]
    return named.map { HistoryReport.FaultFigures(kind: $0.0, $0.1) }
  }
}
