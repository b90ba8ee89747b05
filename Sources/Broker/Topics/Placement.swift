/// How much the nodes have to carry, to place what is new where there is least.
///
/// Leaderships count first, over all topics: the first replica of a partition leads it when nothing
/// is wrong. Ties go around, so that the same nodes do not follow the same leader each time.
struct Placement: Equatable, Sendable {
  private struct Load: Equatable {
    var leaders = 0
    var replicas = 0
  }

  /// Without those that have nothing.
  private var loads: [Int32: Load] = [:]

  /// These nodes have a partition more, the first of them as its leader.
  mutating func add(_ replicas: ArraySlice<Int32>) { count(replicas, 1) }

  mutating func remove(_ replicas: ArraySlice<Int32>) { count(replicas, -1) }

  mutating func add(_ topic: TopicState, from first: Int32 = 0) {
    for index in first..<topic.partitionsCount { add(topic.replicas(ofPartition: index)) }
  }

  mutating func remove(_ topic: TopicState) {
    for index in topic.partitions { remove(topic.replicas(ofPartition: index)) }
  }

  private mutating func count(_ replicas: ArraySlice<Int32>, _ more: Int) {
    for (index, node) in replicas.enumerated() {
      var load = loads[node] ?? Load()
      load.replicas += more
      if index == 0 { load.leaders += more }
      loads[node] = load == Load() ? nil : load
    }
  }

  /// Brokers for `count` new partitions, one partition after another, and counts them in.
  mutating func place(
    count: Int32, replicationFactor: Int, on brokers: [ClusterView.Broker]
  ) -> [Int32] {
    precondition(replicationFactor <= brokers.count, "a broker holds one replica of a partition")
    var placed: [Int32] = []
    placed.reserveCapacity(Int(count) * replicationFactor)
    for _ in 0..<count {
      let replicas = replicas(replicationFactor, of: brokers)
      add(replicas[...])
      placed += replicas
    }
    return placed
  }

  /// The leader lives if anybody does. Who is dead follows only where the living are too few; then
  /// another rack is better than less to do.
  private func replicas(_ factor: Int, of brokers: [ClusterView.Broker]) -> [Int32] {
    func load(_ index: Int) -> Load { loads[brokers[index].id] ?? Load() }
    func leads(_ index: Int) -> (Int, Int, Int, Int) {
      (brokers[index].isAlive ? 0 : 1, load(index).leaders, load(index).replicas, index)
    }
    let leader = brokers.indices.min { leads($0) < leads($1) } ?? 0
    var chosen = [leader]
    while chosen.count < factor {
      func follows(_ index: Int) -> (Int, Int, Int, Int) {
        let rack = brokers[index].rack
        let neighbours = rack == nil ? 0 : chosen.count { brokers[$0].rack == rack }
        let distance = (index - leader + brokers.count) % brokers.count
        return (brokers[index].isAlive ? 0 : 1, neighbours, load(index).replicas, distance)
      }
      let others = brokers.indices.filter { !chosen.contains($0) }
      guard let next = others.min(by: { follows($0) < follows($1) }) else { break }
      chosen.append(next)
    }
    return chosen.map { brokers[$0].id }
  }
}
