internal import Bytes

/// Judges a history while it happens, or afterwards: told of every event in the order of time, it
/// says what is wrong as soon as that can be known, and the rest when there is no more.
///
/// A log needs no search for an order that explains what was seen (linearizability in general is
/// NP-complete): its offsets are the order. So everything here is a table by offset, a table by
/// value and a few numbers per client; an event costs the same whatever was before.
///
/// (1) A history that a correct cluster can produce is never blamed: where an outcome is not known,
///     whatever may have happened is right.
/// (2) What cannot be judged, for want of a final read, is said in the report, and which checks had
///     nothing to look at: nothing is clean because nobody looked.
/// (3) Nothing traps, whatever the events say: they may come from a file.
///
/// Not for several threads.
package final class Judge {
  package struct Options: Sendable {
    /// While a majority is well and something is asked for, no partition may be without an
    /// acknowledgement for so many nanoseconds. Nil: gaps are measured and nobody is blamed.
    package var longestGapMax: UInt64?
    /// Of each check, so many violations are kept; the rest are counted.
    package var violationsKeptMax = 20

    package init() {}
  }

  let options: Options
  package private(set) var eventCount = 0
  var time: UInt64 = 0
  var process: Int32 = 0

  var report = HistoryReport()
  var values = PagedTable(empty: ValueState())
  var partitions: [Int32: PartitionState] = [:]
  var operations: [OperationKey: Operation] = [:]
  var streams: [StreamState] = []
  var streamNumbers: [StreamKey: Int] = [:]
  var readers: [ViewKey: ReaderState] = [:]
  var views: [ViewKey: ViewState] = [:]
  var groups: [GroupKey: GroupState] = [:]
  var owners: [OwnerKey: Owner] = [:]
  var producerIDs = ProducerIDs()
  var availability = Availability()
  var tables: [TableKey: TableState] = [:]
  var limits: Resources?
  var looks = Looks()
  private var isFinished = false

  package init(options: Options = Options()) {
    self.options = options
  }

  /// So far. A simulator stops at the first.
  package var violationCount: Int { report.violationCount }
  package var violations: [Violation] { report.violations }
  /// Records, so far.
  package var acknowledgedCount: Int { report.recordsAcknowledged }

  package func observe(_ event: HistoryEvent) {
    require(!isFinished, "an event after the end")
    eventCount += 1
    if event.time < time {
      malformed("time goes back, from \(time) to \(event.time)")
    }
    time = max(time, event.time)
    process = event.process
    if eventCount == 1 { report.began = time }
    guard Self.isInBounds(event.what) else {
      malformed("an offset below -1 or above \(Self.offsetMax)")
      return
    }
    dispatch(event.what)
  }

  /// Far from where a sum would overflow; no log is so long.
  private static var offsetMax: Int64 { 1 << 62 }

  private static func isInBounds(_ what: HistoryEvent.What) -> Bool {
    func isOne(_ offset: Offset) -> Bool { (-1...offsetMax).contains(offset.rawValue) }
    func isRange(_ start: Offset, _ end: Offset) -> Bool {
      isOne(start) && isOne(end) && start.rawValue >= 0 && start <= end
    }
    return switch what {
    case .produceAnswered(_, .ok(let offset, _, _)): isOne(offset)
    case .positioned(_, let offset), .commitInvoked(_, _, _, _, let offset): isOne(offset)
    case .endAnswered(_, let offset?), .offsetFetchAnswered(_, let offset?): isOne(offset)
    case .watermarks(_, let marks): isOne(marks.high) && isOne(marks.stable) && isOne(marks.start)
    case .durable(_, let ends, _): ends.allSatisfy(isOne)
    case .polled(_, let records, let mark):
      isOne(mark) && records.allSatisfy { isOne($0.offset) && $0.offset.rawValue >= 0 }
    case .finalRead(_, _, _, let records):
      records.allSatisfy { isOne($0.offset) && $0.offset.rawValue >= 0 }
    case .finalRange(_, _, let start, let end), .finalHash(_, _, let start, let end, _):
      isRange(start, end)
    default: true
    }
  }

  // One line or so for each kind.
  private func dispatch(_ what: HistoryEvent.What) {
    switch what {
    case .named(let kind, let number, let name):
      report.names[HistoryReport.Name(kind: kind, number: number)] = name
    case .cluster(let nodes):
      availability.nodes = nodes
    case .partition(let number, let isCompacted, let trims):
      partition(number).isCompacted = isCompacted
      partition(number).trims = trims
    case .produceInvoked(let operation, let partition, let producer, let records):
      produceInvoked(operation, partition, producer, records)
    case .produceAnswered(let operation, let outcome):
      produceAnswered(operation, outcome)
    case .producerIDGiven(let id, let epoch, let isBump):
      producerIDGiven(id, epoch, isBump)
    case .positioned(let partition, let offset):
      positioned(partition, offset.rawValue)
    case .polled(let partition, let records, let highWatermark):
      polled(partition, records, highWatermark.rawValue)
    case .endInvoked(let operation, let partition):
      begin(operation, .end(partition: partition, floor: self.partition(partition).known))
    case .endAnswered(let operation, let offset):
      endAnswered(operation, offset?.rawValue)
    case .watermarks(let partition, let watermarks):
      watermarksSeen(partition, watermarks)
    case .led(let partition, let epoch, let node):
      led(self.partition(partition), epoch, node)
    case .assigned(let group, let generation, let partitions):
      assigned(group, generation, partitions)
    case .commitInvoked(let operation, let group, let generation, let partition, let offset):
      commitInvoked(
        operation, GroupKey(group: group, partition: partition), generation, offset.rawValue)
    case .commitAnswered(let operation, let outcome):
      commitAnswered(operation, outcome)
    case .offsetFetchInvoked(let operation, let group, let partition):
      offsetFetchInvoked(operation, GroupKey(group: group, partition: partition))
    case .offsetFetchAnswered(let operation, let offset):
      offsetFetchAnswered(operation, offset?.rawValue)
    case .faultBegan(let fault, let kind, let nodes):
      if !availability.began(fault, kind, nodes, time, eventNumber) {
        malformed("fault \(fault) began twice")
      }
    case .faultEnded(let fault):
      if !availability.ended(fault, time) { malformed("fault \(fault) ended and was not begun") }
    case .durable(let partition, let ends, let quorum):
      durable(partition, ends.map(\.rawValue), quorum)
    case .finalRead(let reader, let partition, let producer, let records):
      finalRead(reader, self.partition(partition), producer, records)
    case .finalRange(let reader, let partition, let start, let end):
      self.partition(partition).ranges[reader] = FinalRange(
        start: start.rawValue, end: end.rawValue, event: eventNumber)
    case .finalHash(let node, let partition, let start, let end, let hash):
      finalHash(node, self.partition(partition), start.rawValue, end.rawValue, hash)
    case .table(let name, let position, let isSource, let rows, let hash):
      table(TableKey(name: name, position: position), isSource, rows, hash)
    case .limits(let limits): self.limits = limits
    case .resources(let node, let resources): resourcesSeen(node, resources)
    case .errorCode(let code): errorCode(code)
    }
  }

  /// What is left to judge when there is no more to come, and the whole of it.
  package func finish() -> HistoryReport {
    guard !isFinished else { return report }
    isFinished = true
    report.events = eventCount
    report.ended = time
    finishGaps()
    finishValues()
    for number in partitions.keys.sorted() {
      guard let partition = partitions[number] else { continue }
      finishOffsets(partition)
    }
    finishTables()
    finishLooks()
    report.availability = availability.figures()
    return report
  }

  // MARK: Saying

  /// The number of the event that is being looked at: the first is one.
  var eventNumber: UInt32 { UInt32(truncatingIfNeeded: eventCount) }

  func violated(
    _ check: Check, _ partition: Int32 = -1, _ offset: Int64 = -1, events: [UInt32] = [],
    _ message: () -> String
  ) {
    report.counts[check, default: 0] += 1
    guard report.counts[check, default: 0] <= options.violationsKeptMax else { return }
    let proofs = Set(events + [isFinished ? 0 : eventNumber]).subtracting([0]).sorted()
    report.violations.append(
      Violation(
        check: check, message: message(), partition: partition, offset: offset,
        events: proofs.map { Int($0) }))
  }

  /// The history itself is not one: whoever wrote it is wrong.
  func malformed(_ message: @autoclosure () -> String) {
    report.malformedCount += 1
    guard report.malformed.count < options.violationsKeptMax else { return }
    report.malformed.append("event \(eventCount): \(message())")
  }

  // MARK: Finding

  func partition(_ number: Int32) -> PartitionState {
    if let known = partitions[number] { return known }
    let made = PartitionState(number)
    partitions[number] = made
    return made
  }

  func begin(_ operation: UInt64, _ what: Operation) {
    let key = OperationKey(process: process, operation: operation)
    if operations.updateValue(what, forKey: key) != nil {
      malformed("operation \(operation) of process \(process) is begun twice")
    }
  }

  func end(_ operation: UInt64) -> Operation? {
    let found = operations.removeValue(
      forKey: OperationKey(process: process, operation: operation))
    if found == nil {
      malformed("an answer to operation \(operation) of process \(process), which was not begun")
    }
    return found
  }
}
