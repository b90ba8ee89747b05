import Bytes
import Checks

/// One change to a history that no correct cluster could have made.
struct Mutation: Sendable, CustomStringConvertible {
  typealias Events = [HistoryEvent]

  let description: String
  /// The check that must find it; others may as well.
  let check: Check
  /// Nil if this history has no place for it.
  let apply: @Sendable (Events, inout SeededGenerator) -> Events?

  init(
    _ description: String, _ check: Check,
    _ apply: @escaping @Sendable (Events, inout SeededGenerator) -> Events?
  ) {
    self.description = description
    self.check = check
    self.apply = apply
  }

  static let all: [Mutation] = written + shown + groups + bounds

  // MARK: What is written

  private static let written: [Mutation] = [
    Mutation("an acknowledged record is lost", .acknowledgedIsThere) { events, random in
      let facts = Facts(events)
      guard let value = random.pick(facts.acknowledged) else { return nil }
      return events.removing { $0 == value }
    },
    Mutation("a record that was seen is lost", .seenStays) { events, random in
      let facts = Facts(events)
      guard let value = random.pick(facts.polled.filter { !facts.isAcknowledged($0) }) else {
        return nil
      }
      return events.removing { $0 == value }
    },
    Mutation("two offsets are exchanged", .oneValuePerOffset) { events, random in
      let facts = Facts(events)
      guard let value = random.pick(facts.acknowledged),
        let place = facts.places[value],
        let other = random.pick(facts.values(in: place.partition).filter { $0 != value })
      else { return nil }
      return events.changingFinal { record in
        var changed = record
        if record.value == value { changed.value = other }
        if record.value == other { changed.value = value }
        changed.crc = HistoryScript.crc(changed.value)
        return changed
      }
    },
    Mutation("a value is there twice", .oneOffsetPerValue) { events, random in
      let facts = Facts(events)
      guard let value = random.pick(facts.idempotent.filter { facts.places[$0] != nil }),
        let place = facts.places[value], let end = facts.ends[place.partition]
      else { return nil }
      return events.appendingFinally(
        HistoryScript.seen(end, value, epoch: 1 << 20), to: place.partition)
    },
    Mutation("a record that is there was refused", .nothingRefusedIsSeen) { events, random in
      let facts = Facts(events)
      guard
        let index = random.pick(
          events.indices.filter { index in
            guard case .produceAnswered(let operation, let outcome) = events[index].what,
              outcome != .failed
            else { return false }
            return facts.begun[operation]?.contains { facts.places[$0] != nil } ?? false
          }),
        case .produceAnswered(let operation, _) = events[index].what
      else { return nil }
      var changed = events
      changed[index].what = .produceAnswered(operation: operation, .failed)
      return changed
    },
    Mutation("a record that nobody wrote is there", .nothingRefusedIsSeen) { events, random in
      guard let (partition, end) = random.pick(Facts(events).ends.sorted { $0.key < $1.key }) else {
        return nil
      }
      return events.appendingFinally(
        HistoryScript.seen(end, 1 << 60, epoch: 1 << 20), to: partition)
    },
    Mutation("a record was begun after what follows it", .realTimeOrder) { events, random in
      // The beginning of an earlier one moves behind the acknowledgement of a later one.
      let facts = Facts(events)
      var choices: [(from: Int, to: Int)] = []
      for (operation, begun) in facts.invoked {
        guard let answered = facts.answered[operation], let own = facts.offset(of: operation) else {
          continue
        }
        for other in begun + 1..<answered {
          guard case .produceAnswered(let later, .ok(let offset, _, _)) = events[other].what,
            facts.partition[later] == facts.partition[operation], offset.rawValue > own
          else { continue }
          choices.append((begun, other))
        }
      }
      guard let choice = random.pick(choices.sorted { $0 < $1 }) else { return nil }
      return events.moving(choice.from, behind: choice.to)
    },
    Mutation("two records of a producer are exchanged everywhere", .producerOrder) {
      events, random in
      let facts = Facts(events)
      let pairs = facts.single.filter { $0.isIdempotent }
      guard let one = random.pick(pairs) else { return nil }
      let same = pairs.filter {
        $0.process == one.process && $0.partition == one.partition && $0.value != one.value
          && $0.epoch == one.epoch
      }
      guard let other = random.pick(same) else { return nil }
      return events.exchanging(one.value, other.value, operations: one.operation, other.operation)
    },
    Mutation("a sequence is left out", .producerOrder) { events, random in
      events.changing(&random) { what, _ in
        guard
          case .finalRead(let reader, let partition, var producer?, let records) = what,
          producer.sequence > 0
        else { return nil }
        producer.sequence += 1
        return .finalRead(
          reader: reader, partition: partition, producer: producer, records: records)
      }
    },
    Mutation("another node leads in the same epoch", .oneLeaderPerEpoch) { events, random in
      var seen: Set<[Int32]> = []
      var repeated: Set<Int> = []
      let facts = Facts(events)
      for (index, event) in events.enumerated() {
        guard case .produceAnswered(let operation, .ok(_, let epoch, _)) = event.what else {
          continue
        }
        let key = [facts.partition[operation] ?? -1, epoch.rawValue]
        if !seen.insert(key).inserted { repeated.insert(index) }
      }
      return events.changing(&random, among: repeated) { what, _ in
        guard case .produceAnswered(let operation, .ok(let offset, let epoch, let node)) = what
        else { return nil }
        return .produceAnswered(operation: operation, .ok(offset, epoch, node: node % 3 + 1))
      }
    },
    Mutation("an epoch ends and comes back", .oneLeaderPerEpoch) { events, random in
      let facts = Facts(events)
      guard let value = random.pick(facts.places.keys.sorted()),
        let place = facts.places[value], let end = facts.ends[place.partition], end > 1,
        place.offset < end - 1
      else { return nil }
      return events.changingFinal { record in
        var changed = record
        if record.value == value { changed.epoch = LeaderEpoch(1 << 20) }
        return changed
      }
    },
    Mutation("a producer id is given twice", .producerIDsAreUnique) { events, random in
      events.inserting(&random) { what in
        guard case .producerIDGiven(let id, _, isBump: false) = what else { return nil }
        return HistoryEvent(
          time: 0, process: 9, .producerIDGiven(id, ProducerEpoch(900), isBump: false))
      }
    },
    Mutation("an older epoch of a producer writes on", .zombiesAreFenced) { events, random in
      var epochs: Set<[Int64]> = []
      var late: Set<Int> = []
      let facts = Facts(events)
      for (index, event) in events.enumerated() {
        switch event.what {
        case .produceInvoked(let operation, let partition, let producer?, _):
          guard producer.epoch.rawValue > 0, facts.isAcknowledged(operation: operation),
            epochs.contains([
              Int64(partition), producer.id.rawValue, Int64(producer.epoch.rawValue),
            ])
          else { continue }
          late.insert(index)
        case .produceAnswered(let operation, .ok):
          guard let producer = facts.producer[operation] else { continue }
          epochs.insert([
            Int64(facts.partition[operation] ?? -1), producer.id.rawValue,
            Int64(producer.epoch.rawValue),
          ])
        default: continue
        }
      }
      return events.changing(&random, among: late) { what, _ in
        guard
          case .produceInvoked(let operation, let partition, var producer?, let records) = what
        else { return nil }
        producer.epoch = ProducerEpoch(producer.epoch.rawValue - 1)
        return .produceInvoked(
          operation: operation, partition: partition, producer: producer, records: records)
      }
    },
  ]

  // MARK: What is shown

  private static let shown: [Mutation] = [
    Mutation("a reader skips a record", .fetchesAreContiguous) { events, random in
      events.changing(&random) { what, _ in
        guard case .polled(let partition, var records, let mark) = what, records.count > 2 else {
          return nil
        }
        records.remove(at: 1)
        return .polled(partition: partition, records: records, highWatermark: mark)
      }
    },
    Mutation("a reader is given a record twice", .fetchesAreContiguous) { events, random in
      events.changing(&random) { what, _ in
        guard case .polled(let partition, let records, let mark) = what else { return nil }
        return .polled(
          partition: partition, records: records + [records[0]], highWatermark: mark)
      }
    },
    Mutation("a reader is given other bytes", .fetchesAreContiguous) { events, random in
      events.changing(&random) { what, random in
        guard case .polled(let partition, var records, let mark) = what else { return nil }
        records[random.below(records.count)].crc ^= 1
        return .polled(partition: partition, records: records, highWatermark: mark)
      }
    },
    Mutation("a reader is given what is not committed", .fetchesAreContiguous) { events, random in
      events.changing(&random) { what, _ in
        guard case .polled(let partition, let records, _) = what, let last = records.last else {
          return nil
        }
        return .polled(partition: partition, records: records, highWatermark: last.offset)
      }
    },
    Mutation("a high watermark goes back", .watermarksGoForward) { events, random in
      var before: [[Int32]: Offset] = [:]
      var wrong: [Int: Offset] = [:]
      for (index, event) in events.enumerated() {
        guard case .watermarks(let partition, let marks) = event.what else { continue }
        let key = [event.process, partition]
        if let mark = before[key], mark.rawValue > 0 { wrong[index] = mark - 1 }
        before[key] = marks.high
      }
      guard let index = random.pick(wrong.keys.sorted()), let mark = wrong[index],
        case .watermarks(let partition, var marks) = events[index].what
      else { return nil }
      marks.high = mark
      marks.stable = Offset(-1)
      var changed = events
      changed[index].what = .watermarks(partition: partition, marks)
      return changed
    },
    Mutation("the end is stale", .watermarksGoForward) { events, random in
      // What it was when the question was asked, less one.
      var floor: [Int32: Int64] = [:]
      var asked: [UInt64: (partition: Int32, floor: Int64)] = [:]
      var wrong: [Int: Int64] = [:]
      let facts = Facts(events)
      for (index, event) in events.enumerated() {
        switch event.what {
        case .produceAnswered(let operation, .ok(let offset, _, _)):
          let count = Int64(facts.begun[operation]?.count ?? 0)
          floor[facts.partition[operation] ?? -1, default: 0].raise(offset.rawValue + count)
        case .endInvoked(let operation, let partition):
          asked[operation] = (partition, floor[partition] ?? 0)
        case .endAnswered(let operation, .some):
          guard let asked = asked[operation], asked.floor > 0 else { continue }
          wrong[index] = asked.floor - 1
        default: continue
        }
      }
      guard let index = random.pick(wrong.keys.sorted()), let end = wrong[index],
        case .endAnswered(let operation, _) = events[index].what
      else { return nil }
      var changed = events
      changed[index].what = .endAnswered(operation: operation, Offset(end))
      return changed
    },
    Mutation("a replica lacks a record", .replicasAreEqual) { events, random in
      let node = Int32(1 + random.below(3))
      guard let value = random.pick(Facts(events).places.keys.sorted()) else { return nil }
      return events.removing(readers: [node]) { $0 == value }
    },
    Mutation("a replica has other bytes", .replicasAreEqual) { events, random in
      let node = Int32(1 + random.below(3))
      guard let value = random.pick(Facts(events).places.keys.sorted()) else { return nil }
      return events.changingFinal(readers: [node]) { record in
        var changed = record
        if record.value == value { changed.crc ^= 1 }
        return changed
      }
    },
    Mutation("a replica ends early", .replicasAreEqual) { events, random in
      events.changing(&random) { what, _ in
        guard case .finalRange(let reader, let partition, let start, let end) = what, reader > 0,
          end > start
        else { return nil }
        return .finalRange(reader: reader, partition: partition, start: start, end: end - 1)
      }
    },
    Mutation("a replica's files are different", .replicasAreEqual) { events, random in
      events.changing(&random) { what, _ in
        guard case .finalHash(let node, let partition, let start, let end, let hash) = what else {
          return nil
        }
        return .finalHash(node: node, partition: partition, start: start, end: end, hash: hash ^ 4)
      }
    },
  ]

  // MARK: Groups

  private static let groups: [Mutation] = [
    Mutation("a group is told what was never committed", .groupOffsetsGoForward) { events, random in
      events.changing(&random) { what, _ in
        guard case .offsetFetchAnswered(let operation, .some) = what else { return nil }
        return .offsetFetchAnswered(operation: operation, Offset(1 << 40))
      }
    },
    Mutation("a group forgets", .groupOffsetsGoForward) { events, random in
      var forgets: Set<Int> = []
      var acknowledged: Set<Int32> = []
      var after: [UInt64: Bool] = [:]
      let facts = Facts(events)
      for (index, event) in events.enumerated() {
        switch event.what {
        case .commitAnswered(let operation, .ok):
          if let partition = facts.partition[operation] { acknowledged.insert(partition) }
        case .offsetFetchInvoked(let operation, _, let partition):
          after[operation] = acknowledged.contains(partition)
        case .offsetFetchAnswered(let operation, .some):
          if after[operation] == true { forgets.insert(index) }
        default: continue
        }
      }
      return events.changing(&random, among: forgets) { what, _ in
        guard case .offsetFetchAnswered(let operation, _) = what else { return nil }
        return .offsetFetchAnswered(operation: operation, Offset(-1))
      }
    },
    Mutation("a former member commits", .groupOffsetsGoForward) { events, random in
      events.inserting(&random, count: 2) { what in
        guard case .commitInvoked(_, let group, let generation, let partition, _) = what,
          generation > 1
        else { return nil }
        return [generation, 1].enumerated().flatMap { index, generation in
          let operation = UInt64(9_000_000 + index)
          return [
            HistoryEvent(
              time: 0, process: 9,
              .commitInvoked(
                operation: operation, group: group, generation: generation, partition: partition,
                Offset(0))),
            HistoryEvent(time: 0, process: 9, .commitAnswered(operation: operation, .ok)),
          ]
        }
      }
    },
    Mutation("two members have a partition", .groupOffsetsGoForward) { events, random in
      events.inserting(&random) { what in
        guard case .assigned(let group, let generation, let partitions) = what,
          let first = partitions.first
        else { return nil }
        return HistoryEvent(
          time: 0, process: 9,
          .assigned(group: group, generation: generation, partitions: [first]))
      }
    },
  ]

  // MARK: Bounds

  private static let bounds: [Mutation] = [
    Mutation("what was acknowledged is on one disk only", .acknowledgedIsDurable) {
      events, random in
      var acknowledged: [Int32: Int64] = [:]
      var wrong: [Int: Int64] = [:]
      let facts = Facts(events)
      for (index, event) in events.enumerated() {
        switch event.what {
        case .produceAnswered(let operation, .ok(let offset, _, _)):
          let count = Int64(facts.begun[operation]?.count ?? 0)
          acknowledged[facts.partition[operation] ?? -1, default: 0].raise(offset.rawValue + count)
        case .durable(let partition, _, _):
          if let end = acknowledged[partition] { wrong[index] = end - 1 }
        default: continue
        }
      }
      guard let index = random.pick(wrong.keys.sorted()), let end = wrong[index],
        case .durable(let partition, let ends, let quorum) = events[index].what
      else { return nil }
      var changed = events
      changed[index].what = .durable(
        partition: partition, ends: [Offset(end), ends[1], Offset(end)],
        quorum: quorum)
      return changed
    },
    Mutation("nothing is acknowledged for an hour", .isAvailable) { events, random in
      let facts = Facts(events)
      let open = facts.invoked.compactMap { operation, begun in
        facts.offset(of: operation) == nil ? nil : facts.answered[operation].map { ($0, begun) }
      }.filter { answer, begun in
        // Nothing else ends the gap, and no fault takes a node away.
        begun + 1 < answer
          && events[begun + 1...answer].allSatisfy { !$0.endsAGap(but: events[answer]) }
      }
      guard let choice = random.pick(open.map(\.0).sorted()) else { return nil }
      var changed = events
      for index in choice..<changed.count { changed[index].time += 3600 * 1_000_000_000 }
      return changed
    },
    Mutation("a table is not what its log says", .tablesAreConserved) { events, random in
      events.changing(&random) { what, _ in
        guard case .table(let name, let position, let isSource, let rows, let hash) = what else {
          return nil
        }
        return .table(
          name, position: position, isSource: isSource, rows: rows, hash: hash &+ 1)
      }
    },
    Mutation("a node has too much memory", .resourcesAreBounded) { events, random in
      events.changing(&random) { what, _ in
        guard case .resources(let node, var now) = what else { return nil }
        now.memoryBytes = 1001
        return .resources(node: node, now)
      }
    },
    Mutation("an error without a name", .resourcesAreBounded) { events, random in
      events.changing(&random) { what, _ in
        guard case .errorCode = what else { return nil }
        return .errorCode(-1)
      }
    },
  ]
}
