import Bytes
import Checks

/// What a history says, for whoever wants to change one thing of it.
struct Facts {
  struct Single {
    var operation: UInt64
    var value: UInt64
    var process: Int32
    var partition: Int32
    var isIdempotent: Bool
    var epoch: Int16
  }

  private(set) var begun: [UInt64: [UInt64]] = [:]
  private(set) var partition: [UInt64: Int32] = [:]
  private(set) var producer: [UInt64: HistoryProducer] = [:]
  /// Indices of events, by operation.
  private(set) var invoked: [UInt64: Int] = [:]
  private(set) var answered: [UInt64: Int] = [:]
  private var offsets: [UInt64: Int64] = [:]
  /// Values, each in order.
  private(set) var acknowledged: [UInt64] = []
  private(set) var polled: [UInt64] = []
  private(set) var idempotent: [UInt64] = []
  /// Acknowledged alone in their requests.
  private(set) var single: [Single] = []
  /// Where the client finds a value in the end, and where each log ends.
  private(set) var places: [UInt64: (partition: Int32, offset: Int64)] = [:]
  private(set) var ends: [Int32: Int64] = [:]

  init(_ events: [HistoryEvent]) {
    var polledSet: Set<UInt64> = []
    for (index, event) in events.enumerated() {
      switch event.what {
      case .produceInvoked(let operation, let partition, let producer, let records):
        begun[operation] = records.map(\.value)
        self.partition[operation] = partition
        self.producer[operation] = producer
        invoked[operation] = index
        if producer != nil { idempotent += records.map(\.value) }
      case .produceAnswered(let operation, let outcome):
        answered[operation] = index
        guard case .ok(let offset, _, _) = outcome, let values = begun[operation] else { continue }
        offsets[operation] = offset.rawValue
        acknowledged += values
        if values.count == 1 {
          single.append(
            Single(
              operation: operation, value: values[0], process: event.process,
              partition: partition[operation] ?? -1, isIdempotent: producer[operation] != nil,
              epoch: producer[operation]?.epoch.rawValue ?? -1))
        }
      case .commitInvoked(let operation, _, _, let partition, _):
        self.partition[operation] = partition
      case .polled(_, let records, _):
        polled += records.map(\.value).filter { polledSet.insert($0).inserted }
      case .finalRead(reader: 0, let partition, _, let records):
        for record in records { places[record.value] = (partition, record.offset.rawValue) }
      case .finalRange(reader: 0, let partition, _, let end): ends[partition] = end.rawValue
      default: continue
      }
    }
  }

  func isAcknowledged(_ value: UInt64) -> Bool { acknowledged.contains(value) }
  func isAcknowledged(operation: UInt64) -> Bool { offsets[operation] != nil }
  func offset(of operation: UInt64) -> Int64? { offsets[operation] }
  func values(in partition: Int32) -> [UInt64] {
    places.filter { $0.value.partition == partition }.keys.sorted()
  }
}

extension SeededGenerator {
  mutating func pick<Element>(_ elements: [Element]) -> Element? {
    elements.isEmpty ? nil : elements[below(elements.count)]
  }
}

extension Int64 {
  mutating func raise(_ value: Int64) { self = Swift.max(self, value) }
}

extension HistoryEvent {
  /// Whether a gap in acknowledgements ends with this, which is not the one.
  func endsAGap(but one: HistoryEvent) -> Bool {
    if self == one { return false }
    switch what {
    case .produceAnswered(_, .ok), .faultBegan, .faultEnded: return true
    default: return false
    }
  }
}

extension [HistoryEvent] {
  /// Changes one of the events for which there is a change.
  func changing(
    _ random: inout SeededGenerator, among allowed: Set<Int>? = nil,
    _ change: (HistoryEvent.What, inout SeededGenerator) -> HistoryEvent.What?
  ) -> [HistoryEvent]? {
    var copy = random
    let places = indices.filter {
      allowed?.contains($0) ?? true && change(self[$0].what, &copy) != nil
    }
    guard let place = random.pick(places), let what = change(self[place].what, &random) else {
      return nil
    }
    var changed = self
    changed[place].what = what
    return changed
  }

  /// Inserts behind one of the events for which there is something.
  func inserting(
    _ random: inout SeededGenerator, count: Int = 1,
    _ insertion: (HistoryEvent.What) -> [HistoryEvent]?
  ) -> [HistoryEvent]? {
    guard let place = random.pick(indices.filter { insertion(self[$0].what) != nil }),
      let events = insertion(self[place].what)
    else { return nil }
    let timed = events.map { HistoryEvent(time: self[place].time, process: $0.process, $0.what) }
    return Array(self[...place] + timed + self[(place + 1)...])
  }

  func inserting(
    _ random: inout SeededGenerator, _ insertion: (HistoryEvent.What) -> HistoryEvent?
  ) -> [HistoryEvent]? {
    inserting(&random) { what in insertion(what).map { [$0] } }
  }

  func moving(_ from: Int, behind to: Int) -> [HistoryEvent] {
    var changed = self
    var event = changed.remove(at: from)
    event.time = self[to].time
    changed.insert(event, at: to)
    return changed
  }

  /// Each record that is found in the end, by these readers.
  func changingFinal(
    readers: [Int32] = [0, 1, 2, 3], _ change: (SeenRecord) -> SeenRecord?
  ) -> [HistoryEvent] {
    map { event in
      guard case .finalRead(let reader, let partition, let producer, let records) = event.what,
        readers.contains(reader)
      else { return event }
      var changed = event
      changed.what = .finalRead(
        reader: reader, partition: partition, producer: producer,
        records: records.compactMap(change))
      return changed
    }
  }

  func removing(
    readers: [Int32] = [0, 1, 2, 3], _ isRemoved: (UInt64) -> Bool
  ) -> [HistoryEvent] {
    changingFinal(readers: readers) { isRemoved($0.value) ? nil : $0 }
  }

  /// For all readers.
  func appendingFinally(_ record: SeenRecord, to partition: Int32) -> [HistoryEvent] {
    flatMap { event -> [HistoryEvent] in
      guard case .finalRange(let reader, partition, let start, let end) = event.what else {
        return [event]
      }
      var read = event
      read.what = .finalRead(reader: reader, partition: partition, producer: nil, records: [record])
      var range = event
      range.what = .finalRange(reader: reader, partition: partition, start: start, end: end + 1)
      return [read, range]
    }
  }

  /// As if the one had been written in the place of the other.
  func exchanging(
    _ one: UInt64, _ other: UInt64, operations first: UInt64, _ second: UInt64
  ) -> [HistoryEvent] {
    var outcomes: [UInt64: HistoryEvent.ProduceOutcome] = [:]
    for event in self {
      if case .produceAnswered(let operation, let outcome) = event.what {
        outcomes[operation] = outcome
      }
    }
    func exchanged(_ record: SeenRecord) -> SeenRecord {
      var changed = record
      if record.value == one { changed.value = other }
      if record.value == other { changed.value = one }
      changed.crc = HistoryScript.crc(changed.value)
      return changed
    }
    return changingFinal(exchanged).map { event in
      var changed = event
      switch event.what {
      case .polled(let partition, let records, let mark):
        changed.what = .polled(
          partition: partition, records: records.map(exchanged), highWatermark: mark)
      case .produceAnswered(first, _):
        changed.what = .produceAnswered(operation: first, outcomes[second] ?? .unknown)
      case .produceAnswered(second, _):
        changed.what = .produceAnswered(operation: second, outcomes[first] ?? .unknown)
      default: break
      }
      return changed
    }
  }
}
