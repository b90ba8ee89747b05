internal import JSON

/// Into how many partitions a topic's keys were divided, and from which position on.
///
/// Resuming asks each partition for its last position, and leaves out what is at or below it. That
/// is right only while a change goes to the partition to which it went the last time: when
/// partitions are added, keys move. So the number is written down before anything is written by it,
/// and what may be there already is divided as it was then.
///
///     from      a `CapturePosition.major`: the entry holds from there to the next one
package struct PartitionCounts: Equatable, Sendable {
  package struct Entry: Equatable, Sendable {
    package var from: UInt64
    package var count: Int32

    package init(from: UInt64, count: Int32) {
      self.from = from
      self.count = count
    }
  }

  /// Ascending; the first holds from zero, or from where everything before is long acknowledged.
  package let entries: [Entry]

  package init(_ count: Int32) { entries = [Entry(from: 0, count: count)] }

  package init?(entries: [Entry]) {
    guard !entries.isEmpty, entries.allSatisfy({ $0.count > 0 }),
      zip(entries, entries.dropFirst()).allSatisfy({ $0.from < $1.from })
    else { return nil }
    self.entries = entries
  }

  /// By how many a change at that position is divided.
  package func count(at major: UInt64) -> Int32 {
    (entries.last { $0.from <= major } ?? entries[0]).count
  }

  /// What holds after a start that finds the topic like this.
  ///
  /// (1) Every change from `through` on comes again, none before. If nothing of the topic is that
  ///     new, nothing has to be found again, and the topic is taken as it is.
  /// (2) Otherwise what was written is divided as it was; what lies behind all of it was written
  ///     nowhere, and is divided by the topic as it is.
  package func continued(
    by topic: FoundTopic, through: UInt64
  ) throws(PartitionError) -> PartitionCounts {
    guard let written = topic.written, written >= through else {
      return PartitionCounts(topic.partitions)
    }
    var kept = entries.filter { $0.from <= written }
    while kept.count > 1, kept[1].from <= through { kept.removeFirst() }
    if kept.isEmpty { kept = [Entry(from: 0, count: topic.partitions)] }
    guard kept.allSatisfy({ $0.count <= topic.partitions }) else {
      throw PartitionError(topic: topic, counts: kept.map(\.count), through: through)
    }
    if kept[kept.count - 1].count != topic.partitions {
      kept.append(Entry(from: written + 1, count: topic.partitions))
    }
    return PartitionCounts(entries: kept) ?? PartitionCounts(topic.partitions)
  }
}

/// An output topic as a start finds it.
package struct FoundTopic: Equatable, Sendable {
  package var name: String
  package var partitions: Int32
  /// The largest `CapturePosition.major` in any of its partitions.
  package var written: UInt64?

  package init(name: String, partitions: Int32, written: UInt64?) {
    self.name = name
    self.partitions = partitions
    self.written = written
  }
}

/// A topic has fewer partitions than it was written with.
package struct PartitionError: Error, Equatable, CustomStringConvertible {
  package var topic: FoundTopic
  package var counts: [Int32]
  package var through: UInt64

  package var description: String {
    "The topic '\(topic.name)' has \(topic.partitions) partitions, and had \(counts.max() ?? 0) "
      + "when changes behind \(LSN(through)) were written to it: which of them are there cannot be "
      + "told. Delete the topic to have them written again, or run the connector once with "
      + "--forget, which begins anew with a snapshot."
  }
}

/// The numbers of partitions of all topics of a connector, as its record has them. Connectors have
/// thousands of topics that are alike, and the record is written every second: what is alike is
/// written once.
package struct OutputPartitions: Equatable, Sendable {
  /// Of every topic that `others` does not name. Never changes while the connector has a record.
  package let usual: Int32
  package private(set) var others: [String: PartitionCounts]

  package init(usual: Int32, others: [String: PartitionCounts] = [:]) {
    precondition(usual > 0, "a topic has a partition")
    self.usual = usual
    self.others = others
  }

  /// For a connector that has written nothing which it may have to find again.
  package init(_ topics: [FoundTopic]) {
    var frequencies: [Int32: Int] = [:]
    for topic in topics { frequencies[topic.partitions, default: 0] += 1 }
    let usual = frequencies.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? 1
    self.init(usual: usual)
    for topic in topics where topic.partitions != usual {
      others[topic.name] = PartitionCounts(topic.partitions)
    }
  }

  package subscript(topic: String) -> PartitionCounts { others[topic] ?? PartitionCounts(usual) }

  /// Takes a topic as it was found. If that changes anything, it must be on the disk before
  /// anything is written to the topic.
  package mutating func take(_ topic: FoundTopic, through: UInt64) throws(PartitionError) {
    let counts = try self[topic.name].continued(by: topic, through: through)
    others[topic.name] = counts == PartitionCounts(usual) ? nil : counts
  }
}

extension OutputPartitions {
  var json: JSONValue {
    let others = others.keys.sorted().map { name in
      let entries = self[name].entries.map {
        JSONValue.object([
          .init("from", .string("\(LSN($0.from))")), .init("count", .number("\($0.count)")),
        ])
      }
      return JSONValue.object([.init("topic", .string(name)), .init("counts", .array(entries))])
    }
    return .object([.init("usual", .number("\(usual)")), .init("others", .array(others))])
  }

  init(json value: JSONValue) throws(PositionRecordError) {
    let problem = PositionRecordError(description: "the numbers of partitions cannot be read")
    guard let usual = value["usual"]?.integer.flatMap(Int32.init(exactly:)), usual > 0,
      case .array(let list) = value["others"]
    else { throw problem }
    self.init(usual: usual)
    for item in list {
      guard let name = item["topic"]?.text, case .array(let counts) = item["counts"] else {
        throw problem
      }
      let entries = counts.compactMap { entry -> PartitionCounts.Entry? in
        guard let from = entry["from"]?.text.flatMap({ LSN($0) }),
          let count = entry["count"]?.integer.flatMap(Int32.init(exactly:))
        else { return nil }
        return .init(from: from.rawValue, count: count)
      }
      guard entries.count == counts.count, let read = PartitionCounts(entries: entries) else {
        throw problem
      }
      others[name] = read
    }
  }
}
