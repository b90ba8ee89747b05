import KafkaWire

/// A partition that a group keeps an offset for.
struct OffsetKey: Hashable, Comparable, Sendable {
  let topic: ExactString
  let partition: Int32

  /// The order in which offsets are listed and forgotten.
  static func < (a: OffsetKey, b: OffsetKey) -> Bool {
    a.topic == b.topic ? a.partition < b.partition : a.topic < b.topic
  }
}

struct CommittedOffset: Equatable, Sendable {
  var offset: Int64
  var leaderEpoch: Int32
  var metadata: String
  /// Milliseconds.
  var committedAt: Int64
  /// Milliseconds; nil where the general retention holds. Asked for by OffsetCommit v2-4.
  var expiresAt: Int64?
}

/// The offsets of one group.
///
/// (1) An entry is there as long as it has a value or a record of it is under way, so that who
///     forgets "all offsets" also forgets those that are committed a moment later.
struct OffsetTable: Sendable {
  struct Entry: Sendable {
    /// As of the committed end of the log.
    var value: CommittedOffset?
    /// Records of this key that are not decided yet.
    var pendingCount = 0
  }

  private var entries: [OffsetKey: Entry] = [:]

  var count: Int { entries.count }
  var isEmpty: Bool { entries.isEmpty }

  subscript(_ key: OffsetKey) -> Entry? { entries[key] }

  /// In order.
  var keys: [OffsetKey] { entries.keys.sorted() }

  /// Those of one topic, in order.
  func keys(of topic: ExactString) -> [OffsetKey] {
    entries.keys.filter { $0.topic == topic }.sorted()
  }

  func keys(where isIncluded: (OffsetKey, Entry) -> Bool) -> [OffsetKey] {
    entries.filter { isIncluded($0.key, $0.value) }.keys.sorted()
  }

  mutating func beginChange(_ key: OffsetKey) {
    entries[key, default: Entry()].pendingCount += 1
  }

  mutating func commitChange(_ key: OffsetKey, _ value: CommittedOffset?) {
    entries[key]?.value = value
    abandonChange(key)
  }

  mutating func abandonChange(_ key: OffsetKey) {
    guard var entry = entries[key] else { return }
    entry.pendingCount -= 1
    precondition(entry.pendingCount >= 0, "offset of \(key) was changed more often than written")
    entries[key] = entry.value == nil && entry.pendingCount == 0 ? nil : entry
  }

  /// From the log, where everything is committed.
  mutating func replay(_ key: OffsetKey, _ value: CommittedOffset?) {
    if let value { entries[key] = Entry(value: value) } else { entries[key] = nil }
  }
}
