import Bytes
import Client
import KafkaWire
import Testing

@Suite struct `Assignors` {
  private func member(
    _ id: String, _ topics: [String], owned: [TopicPartition] = [], generation: Int32 = 1,
    instance: String? = nil
  ) -> GroupSubscription {
    GroupSubscription(
      memberID: id, instanceID: instance, topics: topics, owned: owned, generation: generation)
  }

  private func partitions(_ topic: String, _ numbers: Int32...) -> [TopicPartition] {
    numbers.map { TopicPartition(topic, $0) }
  }

  @Test func `range gives the first members one more, topic by topic`() {
    let assigned = Assignor.range.assign(
      [member("b", ["x", "y"]), member("a", ["x", "y"]), member("c", ["y"])],
      counts: ["x": 3, "y": 4])
    #expect(assigned["a"] == partitions("x", 0, 1) + partitions("y", 0, 1))
    #expect(assigned["b"] == partitions("x", 2) + partitions("y", 2))
    #expect(assigned["c"] == partitions("y", 3))
  }

  @Test func `range puts static members first, by their instance ids`() {
    let assigned = Assignor.range.assign(
      [member("a", ["x"]), member("z", ["x"], instance: "1"), member("y", ["x"], instance: "2")],
      counts: ["x": 3])
    #expect(
      assigned == ["z": partitions("x", 0), "y": partitions("x", 1), "a": partitions("x", 2)])
  }

  @Test func `sticky keeps what members have and moves as little as balance needs`() {
    let assigned = Assignor.cooperativeSticky.assign(
      [
        member("a", ["x"], owned: partitions("x", 0, 1, 2, 3, 4, 5)), member("b", ["x"]),
        member("c", ["x"], generation: -1),
      ], counts: ["x": 6])
    // Four have to move; none is given to another before its owner has let go of it.
    #expect(assigned["a"] == partitions("x", 0, 1))
    #expect(assigned["b"] == [])
    #expect(assigned["c"] == [])
    let second = Assignor.cooperativeSticky.assign(
      [
        member("a", ["x"], owned: partitions("x", 0, 1)), member("b", ["x"]), member("c", ["x"]),
      ], counts: ["x": 6])
    #expect(second.values.map(\.count) == [2, 2, 2])
    #expect(second["a"] == partitions("x", 0, 1))
  }

  @Test func `of two that claim a partition the newer generation has it, of equals neither`() {
    let newer = Assignor.cooperativeSticky.assign(
      [
        member("a", ["x"], owned: partitions("x", 0, 1), generation: 1),
        member("b", ["x"], owned: partitions("x", 1), generation: 2),
      ], counts: ["x": 2])
    #expect(newer == ["a": partitions("x", 0), "b": partitions("x", 1)])
    let equal = Assignor.cooperativeSticky.assign(
      [
        member("a", ["x"], owned: partitions("x", 0), generation: 3),
        member("b", ["x"], owned: partitions("x", 0), generation: 3),
      ], counts: ["x": 2])
    #expect(equal.values.flatMap { $0 }.sorted() == partitions("x", 0, 1))
    #expect(equal.values.map(\.count) == [1, 1])
  }

  @Test func `whatever members want and have, everything is shared out fairly and once`() {
    var generator = SeededGenerator(seed: 11)
    for _ in 0..<300 {
      let counts: [String: Int32] = [
        "x": .random(in: 0...7, using: &generator), "y": .random(in: 1...5, using: &generator),
      ]
      let all = counts.flatMap { topic, count in (0..<count).map { TopicPartition(topic, $0) } }
        .sorted()
      var members = (0..<Int.random(in: 1...5, using: &generator)).map { index in
        member(
          "m\(index)", [["x"], ["y"], ["x", "y"]].randomElement(using: &generator) ?? [],
          owned: all.filter { _ in Int.random(in: 0..<3, using: &generator) == 0 },
          generation: .random(in: 0...2, using: &generator))
      }
      let wanted = all.filter { partition in
        members.contains { $0.topics.contains(partition.topic) }
      }
      // Cooperative rebalancing ends: each time what was let go of is assigned.
      for round in 0..<3 {
        let assigned = Assignor.cooperativeSticky.assign(members, counts: counts)
        let given = assigned.values.flatMap { $0 }
        #expect(Set(given).count == given.count)
        for index in members.indices {
          members[index].owned = assigned[members[index].memberID] ?? []
          members[index].generation = Int32(10 + round)
        }
      }
      #expect(members.flatMap(\.owned).sorted() == wanted)
      for a in members {
        for b in members where a.owned.contains(where: { b.topics.contains($0.topic) }) {
          #expect(a.owned.count <= b.owned.count + 1)
        }
      }
    }
  }

  /// As Java's cooperative-sticky assignor writes its subscription: version 3, topics, user data
  /// with the generation, owned partitions, generation, rack.
  @Test func `a subscription has the bytes that Java's consumers read`() throws {
    var subscription = ConsumerProtocolSubscription()
    subscription.topics = ["t"]
    subscription.userData = Assignor.cooperativeSticky.userData(generation: 5).map { $0[...] }
    subscription.ownedPartitions = partitions("t", 1, 0).byTopic { topic, numbers in
      .with {
        $0.topic = topic
        $0.partitions = numbers
      }
    }
    subscription.generationId = 5
    #expect(
      try subscription.embedded(version: 3) == [
        0, 3, 0, 0, 0, 1, 0, 1, 0x74, 0, 0, 0, 4, 0, 0, 0, 5,  // version, topics, user data
        0, 0, 0, 1, 0, 1, 0x74, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1,  // owned
        0, 0, 0, 5, 0xff, 0xff,  // generation, no rack
      ])
    #expect(Assignor.generation(of: subscription) == 5)
    subscription.generationId = -1
    #expect(Assignor.generation(of: subscription) == 5)
  }
}
