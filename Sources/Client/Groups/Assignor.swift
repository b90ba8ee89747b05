package import KafkaWire

/// How a group's leader shares partitions out (Java's ConsumerPartitionAssignor). Members must have
/// one in common, whatever client they are.
public enum Assignor: String, Sendable, CaseIterable {
  /// Topic by topic: contiguous ranges over the members in order.
  case range = "range"
  /// Balanced, and each member keeps what it has; what moves is first given up by its owner, then
  /// taken by the other in the next rebalance (KIP-429).
  case cooperativeSticky = "cooperative-sticky"

  package var isCooperative: Bool { self == .cooperativeSticky }
}

/// A member as the group's leader sees it.
package struct GroupSubscription: Equatable, Sendable {
  package var memberID: String
  /// Of a static member.
  package var instanceID: String?
  package var topics: [String]
  package var owned: [TopicPartition] = []
  /// In which `owned` was assigned; -1 where the member does not say.
  package var generation: Int32 = -1

  package init(
    memberID: String, instanceID: String? = nil, topics: [String], owned: [TopicPartition] = [],
    generation: Int32 = -1
  ) {
    self.memberID = memberID
    self.instanceID = instanceID
    self.topics = topics
    self.owned = owned
    self.generation = generation
  }
}

extension Assignor {
  /// Each member's partitions, sorted. `counts` has the topics that exist.
  package func assign(
    _ members: [GroupSubscription], counts: [String: Int32]
  ) -> [String: [TopicPartition]] {
    switch self {
    case .range: RangeAssignment.assign(members, counts)
    case .cooperativeSticky: StickyAssignment.assign(members, counts)
    }
  }

  /// The user data of this assignor's subscription: for cooperative-sticky the generation (V0).
  package func userData(generation: Int32) -> [UInt8]? {
    guard self == .cooperativeSticky else { return nil }
    return withBigEndian(generation)
  }

  private func withBigEndian(_ value: Int32) -> [UInt8] {
    let bits = UInt32(bitPattern: value)
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: bits >> $0) }
  }

  /// The generation in which a member's partitions were assigned: in its subscription since
  /// version 2, before that in the user data.
  package static func generation(of subscription: ConsumerProtocolSubscription) -> Int32 {
    if subscription.generationId >= 0 { return subscription.generationId }
    guard let data = subscription.userData, data.count == 4 else { return -1 }
    return Int32(bitPattern: data.reduce(0 as UInt32) { $0 << 8 | UInt32($1) })
  }
}

/// Java's RangeAssignor, for members without racks.
package enum RangeAssignment {
  package static func assign(
    _ members: [GroupSubscription], _ counts: [String: Int32]
  ) -> [String: [TopicPartition]] {
    var assigned = Dictionary(
      uniqueKeysWithValues: members.map { ($0.memberID, [TopicPartition]()) })
    let topics = Set(members.flatMap(\.topics)).sorted()
    let sorted = members.sorted(by: isBefore)
    for topic in topics {
      guard let count = counts[topic], count > 0 else { continue }
      let wanting = sorted.filter { $0.topics.contains(topic) }
      let each = Int(count) / wanting.count
      let more = Int(count) % wanting.count
      var next: Int32 = 0
      for (index, member) in wanting.enumerated() {
        let size = Int32(each + (index < more ? 1 : 0))
        let range = next..<next + size
        assigned[member.memberID]?.append(contentsOf: range.map { TopicPartition(topic, $0) })
        next += size
      }
    }
    return assigned
  }

  /// Static members come first, by their instance ids, so that a restart changes nothing.
  private static func isBefore(_ a: GroupSubscription, _ b: GroupSubscription) -> Bool {
    switch (a.instanceID, b.instanceID) {
    case (let mine?, let its?): mine < its
    case (.some, nil): true
    case (nil, .some): false
    case (nil, nil): a.memberID < b.memberID
    }
  }
}

/// Balanced and sticky, in two rebalances where a partition moves.
///
/// (1) A member keeps what it owns, subscribes to and nobody else claims in a newer generation. Two
///     that claim the same in the same generation both lose it.
/// (2) What nobody has goes to whoever has least. Then partitions move, one at a time, from a
///     member to one that would still have fewer: each move makes the sum of squares smaller, so
///     it ends.
/// (3) A partition that a member still owns is given to nobody else: it is left out, its owner
///     gives it up, and the rebalance that follows assigns it.
package enum StickyAssignment {
  package static func assign(
    _ members: [GroupSubscription], _ counts: [String: Int32]
  ) -> [String: [TopicPartition]] {
    var table = Table(members, counts)
    table.takeOwned(members)
    table.giveOpen()
    table.balance()
    return table.withoutTransfers()
  }

  private struct Table {
    private let ids: [String]
    private let topics: [Set<String>]
    private let partitions: [TopicPartition]
    /// By partition, the member that has it now, and the one that says it owned it.
    private var holder: [TopicPartition: Int] = [:]
    private var owner: [TopicPartition: Int] = [:]
    private var loads: [Int]

    init(_ members: [GroupSubscription], _ counts: [String: Int32]) {
      let sorted = members.sorted { $0.memberID < $1.memberID }
      ids = sorted.map(\.memberID)
      topics = sorted.map { Set($0.topics) }
      loads = [Int](repeating: 0, count: sorted.count)
      let wanted = topics.reduce(into: Set<String>()) { $0.formUnion($1) }.sorted()
      partitions = wanted.flatMap { topic in
        (0..<max(0, counts[topic] ?? 0)).map { TopicPartition(topic, $0) }
      }
    }

    mutating func takeOwned(_ members: [GroupSubscription]) {
      let exists = Set(partitions)
      var newest: [TopicPartition: (generation: Int32, member: Int?)] = [:]
      for member in members.sorted(by: { $0.memberID < $1.memberID }) {
        guard let index = ids.firstIndex(of: member.memberID) else { continue }
        for partition in Set(member.owned) where exists.contains(partition) {
          guard topics[index].contains(partition.topic) else { continue }
          if let claim = newest[partition] {
            if claim.generation == member.generation {
              newest[partition] = (claim.generation, nil)
            } else if claim.generation < member.generation {
              newest[partition] = (member.generation, index)
            }
          } else {
            newest[partition] = (member.generation, index)
          }
        }
      }
      for partition in partitions {
        guard let member = newest[partition]?.member else { continue }
        holder[partition] = member
        owner[partition] = member
        loads[member] += 1
      }
    }

    /// Those that few can take first, so that they are not left for members that are full.
    mutating func giveOpen() {
      let open = partitions.filter { holder[$0] == nil }
      let takers = Dictionary(
        uniqueKeysWithValues: Set(open.map(\.topic)).map { topic in
          (topic, topics.indices.filter { topics[$0].contains(topic) })
        })
      let order = open.sorted {
        let (a, b) = (takers[$0.topic]?.count ?? 0, takers[$1.topic]?.count ?? 0)
        return a == b ? $0 < $1 : a < b
      }
      for partition in order {
        let least = takers[partition.topic]?.min { (loads[$0], $0) < (loads[$1], $1) }
        guard let least else { continue }
        holder[partition] = least
        loads[least] += 1
      }
    }

    mutating func balance() {
      var isMoving = true
      while isMoving {
        isMoving = false
        // From the end: what a member took last moves first.
        for partition in partitions.reversed() {
          guard let from = holder[partition] else { continue }
          let to = topics.indices.filter { topics[$0].contains(partition.topic) }
            .min { (loads[$0], $0) < (loads[$1], $1) }
          guard let to, loads[to] + 1 < loads[from] else { continue }
          holder[partition] = to
          loads[from] -= 1
          loads[to] += 1
          isMoving = true
        }
      }
    }

    func withoutTransfers() -> [String: [TopicPartition]] {
      var assigned = Dictionary(uniqueKeysWithValues: ids.map { ($0, [TopicPartition]()) })
      for partition in partitions {
        guard let member = holder[partition] else { continue }
        if let owner = owner[partition], owner != member { continue }
        assigned[ids[member]]?.append(partition)
      }
      return assigned
    }
  }
}
