package import Bytes
package import KafkaWire

// What the cluster decided, one record each. The metadata log is a list of these; the state is what
// they add up to.
//
//   record     u8 type, u8 version, fields; whatever follows the fields is ignored, so that a later
//              version may add some at the end
//
//   type                      fields
//   1  cluster identified     uuid
//   2  topic created          uuid, string name, varint replication factor, replicas, configs
//   3  partitions added       uuid, varint first index, replicas of the new ones
//   4  topic deleted          uuid
//   5  topic configured       uuid, configs: all that are set from here on
//   6  broker configured      varint node (-1: all nodes), configs: all that are set from here on
//   7  producer ids taken     varlong first, varint count
//   8  producer fenced        string transactional id, varlong id, varint epoch,
//                             varlong last id, varint last epoch
//   9  transactional id gone  string transactional id
//   10 node registered        varint node, u64 incarnation, string host, varint port,
//                             count of racks (none or one) and it as a string
//   11 membership changed     group, varlong version, members that vote, members that learn
//   12 reassigned             uuid, varint index, replicas that are wanted; none: not any more
//
// A group is a uuid, which may be zero, and a varint; members are a count of pairs of a varint and
// an u64. A uuid is two u64; a string has its size before it as an unsigned varint; replicas are a
// count of varints, one partition after another; configs are a count of pairs of strings. Integers
// are as in `ByteReader`.

/// A topic as the metadata log knows it.
package struct TopicState: Equatable, Sendable {
  package var id: UUID16
  package var name: String
  /// Above zero.
  package var replicationFactor: Int
  /// The brokers of partition 0, then those of 1, and so on; the first of each is its preferred
  /// leader.
  package var replicas: [Int32]
  /// The settings made for this topic.
  package var configs: ConfigValues

  package init(
    id: UUID16, name: String, replicationFactor: Int, replicas: [Int32],
    configs: ConfigValues = ConfigValues()
  ) {
    precondition(replicationFactor > 0, "a partition has a replica")
    precondition(
      replicas.count.isMultiple(of: replicationFactor), "every partition has all its replicas")
    self.id = id
    self.name = name
    self.replicationFactor = replicationFactor
    self.replicas = replicas
    self.configs = configs
  }

  /// Partitions that have another number of replicas: some of the topic's were reassigned, not all.
  package internal(set) var otherwise: [Int32: [Int32]] = [:]

  package var partitionsCount: Int32 { Int32(replicas.count / replicationFactor) }

  package func replicas(ofPartition index: Int32) -> ArraySlice<Int32> {
    if !otherwise.isEmpty, let replicas = otherwise[index] { return replicas[...] }
    let first = Int(index) * replicationFactor
    return replicas[first..<first + replicationFactor]
  }
}

/// The identity of a transactional producer.
package struct TransactionalProducer: Equatable, Sendable {
  package var id: ProducerID
  package var epoch: ProducerEpoch
  /// What it was before its own last request, so that the request may be sent twice (KIP-360).
  package var lastID: ProducerID
  package var lastEpoch: ProducerEpoch

  package init(
    id: ProducerID, epoch: ProducerEpoch, lastID: ProducerID = .none,
    lastEpoch: ProducerEpoch = .none
  ) {
    self.id = id
    self.epoch = epoch
    self.lastID = lastID
    self.lastEpoch = lastEpoch
  }
}

/// One decision.
package enum MetadataRecord: Equatable, Sendable {
  case clusterIdentified(UUID16)
  case topicCreated(TopicState)
  case partitionsAdded(topic: UUID16, first: Int32, replicas: [Int32])
  case topicDeleted(UUID16)
  case topicConfigured(UUID16, ConfigValues)
  /// Nil stands for all nodes.
  case brokerConfigured(node: Int32?, ConfigValues)
  case producerIdsTaken(first: ProducerID, count: Int32)
  /// The transactional id is kept as bytes: two that are canonically equivalent are two.
  case producerFenced(transactionalId: [UInt8], TransactionalProducer)
  case transactionalIdGone([UInt8])
  case nodeRegistered(RegisteredNode)
  case membershipChanged(GroupKey, GroupMembership)
  /// The brokers that are to have the partition; nil when they do, or it is not wanted any more.
  case reassigned(GroupKey, target: [Int32]?)

  /// Whether it may be what makes space on a full disk: topics that go, retention that is lowered,
  /// replicas that move to other nodes.
  var makesSpace: Bool {
    switch self {
    case .topicDeleted, .topicConfigured, .brokerConfigured, .nodeRegistered, .membershipChanged,
      .reassigned:
      true
    case .clusterIdentified, .topicCreated, .partitionsAdded, .producerIdsTaken, .producerFenced,
      .transactionalIdGone:
      false
    }
  }
}

/// Why bytes are no metadata, or records do not add up.
package enum MetadataError: Error, Equatable, Sendable {
  case malformed(ByteError)
  /// A type or version that this program does not know: a later one wrote it.
  case unknownRecord(type: UInt8, version: UInt8)
  /// A field is out of its range.
  case invalidField(String)
  /// A record that contradicts those before it.
  case inconsistent(String)
  /// A snapshot whose bytes were damaged, or that is none.
  case notASnapshot
}

extension MetadataRecord {
  static let version: UInt8 = 0

  package func encoded() -> [UInt8] {
    var fields = MetadataFields()
    switch self {
    case .clusterIdentified(let id):
      fields.begin(1)
      fields.put(id)
    case .topicCreated(let topic):
      fields.begin(2)
      fields.put(topic.id)
      fields.put(topic.name)
      fields.put(Int32(topic.replicationFactor))
      fields.put(topic.replicas)
      fields.put(topic.configs)
    case .partitionsAdded(let topic, let first, let replicas):
      fields.begin(3)
      fields.put(topic)
      fields.put(first)
      fields.put(replicas)
    case .topicDeleted(let id):
      fields.begin(4)
      fields.put(id)
    case .topicConfigured(let id, let configs):
      fields.begin(5)
      fields.put(id)
      fields.put(configs)
    case .brokerConfigured(let node, let configs):
      fields.begin(6)
      fields.put(node ?? -1)
      fields.put(configs)
    case .producerIdsTaken(let first, let count):
      fields.begin(7)
      fields.put(first.rawValue)
      fields.put(count)
    case .producerFenced(let transactionalId, let producer):
      fields.begin(8)
      fields.put(transactionalId)
      fields.put(producer.id.rawValue)
      fields.put(Int32(producer.epoch.rawValue))
      fields.put(producer.lastID.rawValue)
      fields.put(Int32(producer.lastEpoch.rawValue))
    case .transactionalIdGone(let transactionalId):
      fields.begin(9)
      fields.put(transactionalId)
    case .nodeRegistered(let node):
      fields.begin(10)
      fields.put(node.id)
      fields.put(fixed: node.incarnation)
      fields.put(node.host)
      fields.put(node.port)
      fields.put(count: node.rack == nil ? 0 : 1)
      if let rack = node.rack { fields.put(rack) }
    case .membershipChanged(let group, let membership):
      fields.begin(11)
      fields.put(group)
      fields.put(membership)
    case .reassigned(let group, let target):
      fields.begin(12)
      fields.put(group)
      fields.put(target ?? [])
    }
    return fields.bytes
  }

  package init(decoding bytes: ArraySlice<UInt8>) throws(MetadataError) {
    var fields = MetadataFieldReader(bytes)
    let type = try fields.uint8()
    let version = try fields.uint8()
    guard version == Self.version else { throw .unknownRecord(type: type, version: version) }
    switch type {
    case 1: self = .clusterIdentified(try fields.uuid())
    case 2: self = .topicCreated(try fields.topic())
    case 3:
      let topic = try fields.uuid()
      let first = try fields.varint(0 ... .max, "first partition")
      self = .partitionsAdded(topic: topic, first: first, replicas: try fields.replicas())
    case 4: self = .topicDeleted(try fields.uuid())
    case 5:
      let topic = try fields.uuid()
      self = .topicConfigured(topic, try fields.configs())
    case 6:
      let node = try fields.varint(-1 ... .max, "node")
      self = .brokerConfigured(node: node < 0 ? nil : node, try fields.configs())
    case 7:
      let first = ProducerID(try fields.varlong())
      self = .producerIdsTaken(first: first, count: try fields.varint(1 ... .max, "count of ids"))
    case 8:
      let transactionalId = try fields.text()
      self = .producerFenced(transactionalId: transactionalId, try fields.producer())
    case 9: self = .transactionalIdGone(try fields.text())
    case 10: self = .nodeRegistered(try fields.node())
    case 11:
      let group = try fields.group()
      self = .membershipChanged(group, try fields.membership())
    case 12:
      let group = try fields.group()
      let target = try fields.replicas()
      self = .reassigned(group, target: target.isEmpty ? nil : target)
    default: throw .unknownRecord(type: type, version: version)
    }
  }
}
