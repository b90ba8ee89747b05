package import Bytes
package import KafkaWire

/// Everything the metadata log adds up to.
///
/// (1) Applying the same records in the same order gives equal states, on every node.
/// (2) A topic has one name and one id, and no two names collide.
/// (3) `nextProducerId` is above every producer id that was ever taken.
package struct MetadataState: Equatable, Sendable {
  package private(set) var clusterId: UUID16?
  package private(set) var clusterConfigs = ConfigValues()
  package private(set) var nodeConfigs: [Int32: ConfigValues] = [:]
  package private(set) var nextProducerId = ProducerID(0)
  /// The names of all topics, sorted: the order in which they are listed.
  package private(set) var names: [String] = []
  /// Partitions of all topics.
  package private(set) var partitionsCount = 0

  /// Nodes that made themselves known, ascending.
  package internal(set) var nodes: [RegisteredNode] = []
  /// Where a partition is to be, by what was asked for and is not done.
  package internal(set) var reassignments: [GroupKey: [Int32]] = [:]

  /// How the partitions are spread.
  var placement = Placement()

  // The next five are of `MetadataState+Groups`.
  /// Of `nodes`, as one array that topics share.
  var incarnations: [NodeIncarnation] = []
  var firstIncarnations: [Int32: UInt64] = [:]
  var births: [UUID16: [Birth]] = [:]
  /// Those that are not what a partition is made with.
  var memberships: [GroupKey: GroupMembership] = [:]
  var topics: [String: TopicState] = [:]
  private var namesById: [UUID16: String] = [:]
  /// By `TopicName.collisionKey`.
  private var namesByKey: [String: String] = [:]
  private var producers: [[UInt8]: FencedProducer] = [:]
  /// Of the next `producerFenced`: the larger, the more recently used.
  private var nextFencing: UInt64 = 0

  private struct FencedProducer: Equatable {
    var producer: TransactionalProducer
    var fencing: UInt64
  }

  package init() {}

  package var topicsCount: Int { names.count }
  package var transactionalIdsCount: Int { producers.count }

  /// Compared byte by byte: a name that is not ASCII finds nothing.
  package func topic(named name: String) -> TopicState? {
    name.isASCII ? topics[name] : nil
  }

  package func topic(_ id: UUID16) -> TopicState? {
    namesById[id].flatMap { topics[$0] }
  }

  /// The topic whose name differs from `name` at most in '.' and '_'.
  package func nameColliding(with name: String) -> String? {
    namesByKey[TopicName.collisionKey(name)]
  }

  package func producer(ofTransactionalId id: [UInt8]) -> TransactionalProducer? {
    producers[id]?.producer
  }

  /// The transactional id that was used least recently. Looks at all of them; their order in the
  /// dictionary does not matter, because no two have the same number.
  package var transactionalIdOldest: [UInt8]? {
    producers.min { $0.value.fencing < $1.value.fencing }?.key
  }

  /// What changed, for those who act on it.
  enum Change: Equatable {
    case none
    case topicCreated(TopicState)
    case partitionsAdded(TopicState, first: Int32)
    case topicDeleted(TopicState)
    case topicConfigured(TopicState)
    case brokerConfigured(node: Int32?)
    /// The groups are those in which it was not said which incarnation of the node: it is now.
    case nodeRegistered(RegisteredNode, opened: [GroupKey])
    case membershipChanged(GroupKey, GroupMembership)
    case reassigned(GroupKey)
  }

  /// Takes one record in. If it throws, nothing has changed.
  package mutating func load(_ record: MetadataRecord) throws(MetadataError) {
    _ = try apply(record)
  }

  /// As `load`, telling what changed.
  mutating func apply(_ record: MetadataRecord) throws(MetadataError) -> Change {
    switch record {
    case .clusterIdentified(let id):
      guard clusterId == nil || clusterId == id else {
        throw .inconsistent("the cluster has the id \(id) and another")
      }
      clusterId = id
      return .none
    case .topicCreated(let topic): return try create(topic)
    case .partitionsAdded(let id, let first, let replicas):
      return try addPartitions(id, first, replicas)
    case .topicDeleted(let id): return .topicDeleted(try delete(id))
    case .topicConfigured(let id, let configs):
      guard var topic = topic(id) else { throw .inconsistent("no topic \(id) to configure") }
      topic.configs = configs
      topics[topic.name] = topic
      return .topicConfigured(topic)
    case .brokerConfigured(let node, let configs):
      if let node {
        nodeConfigs[node] = configs.isEmpty ? nil : configs
      } else {
        clusterConfigs = configs
      }
      return .brokerConfigured(node: node)
    case .producerIdsTaken(let first, let count):
      let (end, overflow) = first.rawValue.addingReportingOverflow(Int64(count))
      guard first >= nextProducerId, !overflow else {
        throw .inconsistent("producer ids from \(first.rawValue) on are taken twice")
      }
      nextProducerId = ProducerID(end)
      return .none
    case .producerFenced(let transactionalId, let producer):
      producers[transactionalId] = FencedProducer(producer: producer, fencing: nextFencing)
      nextFencing += 1
      return .none
    case .transactionalIdGone(let transactionalId):
      producers[transactionalId] = nil
      return .none
    case .nodeRegistered(let node): return register(node)
    case .membershipChanged(let group, let membership): return try change(group, membership)
    case .reassigned(let group, let target): return try reassign(group, target)
    }
  }

  private mutating func create(_ topic: TopicState) throws(MetadataError) -> Change {
    guard namesById[topic.id] == nil else {
      throw .inconsistent("two topics have the id \(topic.id)")
    }
    let key = TopicName.collisionKey(topic.name)
    guard namesByKey[key] == nil else {
      throw .inconsistent("two topics are called '\(topic.name)', but for '.' and '_'")
    }
    topics[topic.name] = topic
    namesById[topic.id] = topic.name
    namesByKey[key] = topic.name
    names.insert(topic.name, at: place(of: topic.name))
    partitionsCount += Int(topic.partitionsCount)
    placement.add(topic)
    noteBirth(topic.id, from: 0)
    return .topicCreated(topic)
  }

  private mutating func addPartitions(
    _ id: UUID16, _ first: Int32, _ replicas: [Int32]
  ) throws(MetadataError) -> Change {
    guard var topic = topic(id) else { throw .inconsistent("no topic \(id) to enlarge") }
    guard first == topic.partitionsCount, replicas.count.isMultiple(of: topic.replicationFactor)
    else {
      throw .inconsistent(
        "\(replicas.count) replicas from partition \(first) on do not continue '\(topic.name)'")
    }
    topic.replicas += replicas
    topics[topic.name] = topic
    partitionsCount += replicas.count / topic.replicationFactor
    placement.add(topic, from: first)
    noteBirth(id, from: first)
    return .partitionsAdded(topic, first: first)
  }

  private mutating func delete(_ id: UUID16) throws(MetadataError) -> TopicState {
    guard let topic = topic(id) else { throw .inconsistent("no topic \(id) to delete") }
    topics[topic.name] = nil
    namesById[id] = nil
    namesByKey[TopicName.collisionKey(topic.name)] = nil
    names.remove(at: place(of: topic.name))
    partitionsCount -= Int(topic.partitionsCount)
    placement.remove(topic)
    forgetGroups(of: topic)
    return topic
  }

  /// The first index whose name is not below `name`.
  private func place(of name: String) -> Int {
    var low = 0
    var high = names.count
    while low < high {
      let middle = (low + high) / 2
      if names[middle] < name { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension MetadataState {
  /// Records that add up to this state, but for who is in which group, in one order however it came
  /// about.
  var records: [MetadataRecord] {
    var records: [MetadataRecord] = []
    if let clusterId { records.append(.clusterIdentified(clusterId)) }
    if !clusterConfigs.isEmpty {
      records.append(.brokerConfigured(node: nil, clusterConfigs))
    }
    for (node, configs) in nodeConfigs.sorted(by: { $0.key < $1.key }) {
      records.append(.brokerConfigured(node: node, configs))
    }
    for node in nodes { records.append(.nodeRegistered(node)) }
    for name in names {
      if let topic = topics[name] { records.append(.topicCreated(topic)) }
    }
    if nextProducerId.rawValue > 0 {
      let last = ProducerID(nextProducerId.rawValue - 1)
      records.append(.producerIdsTaken(first: last, count: 1))
    }
    for (id, fenced) in fencedInOrder {
      records.append(.producerFenced(transactionalId: id, fenced.producer))
    }
    return records
  }

  /// The number of each `producerFenced` among `records`, then the next one.
  var fencings: [UInt64] { fencedInOrder.map(\.1.fencing) + [nextFencing] }

  private var fencedInOrder: [([UInt8], FencedProducer)] {
    producers.sorted { $0.value.fencing < $1.value.fencing }.map { ($0.key, $0.value) }
  }

  /// Gives the producers, in the order they were fenced in, the numbers `fencings` says.
  mutating func restore(_ fencings: [UInt64]) throws(MetadataError) {
    let ordered = fencedInOrder
    guard fencings.count == ordered.count + 1,
      zip(fencings, fencings.dropFirst()).allSatisfy({ $0 < $1 }), let next = fencings.last,
      next < 1 << 62
    else { throw .invalidField("the order of \(ordered.count) transactional ids") }
    for (index, (id, _)) in ordered.enumerated() { producers[id]?.fencing = fencings[index] }
    nextFencing = next
  }
}
