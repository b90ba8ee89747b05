internal import Bytes
internal import KafkaWire

/// Writes the fields of metadata records, as `MetadataRecord` lists them.
struct MetadataFields {
  private(set) var bytes: [UInt8] = []

  mutating func begin(_ type: UInt8) {
    bytes.append(type)
    bytes.append(MetadataRecord.version)
  }

  mutating func put(byte: UInt8) { bytes.append(byte) }

  mutating func put(_ id: UUID16) {
    put(fixed: id.high)
    put(fixed: id.low)
  }

  mutating func put(fixed value: UInt64) {
    unsafe append(8) { writer in unsafe writer.integer(value) }
  }

  mutating func put(fixed value: UInt32) {
    unsafe append(4) { writer in unsafe writer.integer(value) }
  }

  mutating func put(_ value: Int32) {
    unsafe append(Varint.size(value)) { writer in unsafe writer.varint(value) }
  }

  mutating func put(_ value: Int64) {
    unsafe append(Varint.sizeLong(value)) { writer in unsafe writer.varlong(value) }
  }

  mutating func put(count: Int) {
    guard let count = UInt32(exactly: count) else {
      preconditionFailure("\(count) elements in a metadata record")
    }
    unsafe append(Varint.sizeUnsigned(count)) { writer in unsafe writer.unsignedVarint(count) }
  }

  mutating func put(_ text: [UInt8]) {
    put(count: text.count)
    bytes += text
  }

  mutating func put(_ text: String) { put(Array(text.utf8)) }

  mutating func put(_ replicas: [Int32]) {
    put(count: replicas.count)
    for broker in replicas { put(broker) }
  }

  mutating func put(_ configs: ConfigValues) {
    put(count: configs.entries.count)
    for entry in configs.entries {
      put(entry.name)
      put(entry.value)
    }
  }

  mutating func put(_ group: GroupKey) {
    put(group.topic)
    put(group.partition)
  }

  mutating func put(_ members: [NodeIncarnation]) {
    put(count: members.count)
    for member in members {
      put(member.node)
      put(fixed: member.incarnation)
    }
  }

  mutating func put(_ membership: GroupMembership) {
    put(membership.version)
    put(membership.voters)
    put(membership.learners)
  }

  private mutating func append(_ size: Int, _ write: (inout ByteWriter) -> Void) {
    bytes += unsafe ByteWriter.array(size, write)
  }
}

/// Reads what `MetadataFields` writes; whatever else it is given makes it throw.
struct MetadataFieldReader {
  private var reader: ByteReader

  init(_ bytes: ArraySlice<UInt8>) { reader = ByteReader(bytes) }

  var isAtEnd: Bool { reader.isAtEnd }

  mutating func uint8() throws(MetadataError) -> UInt8 {
    do throws(ByteError) { return try reader.uint8() } catch { throw .malformed(error) }
  }

  mutating func uint32() throws(MetadataError) -> UInt32 {
    do throws(ByteError) { return try reader.uint32() } catch { throw .malformed(error) }
  }

  mutating func uint64() throws(MetadataError) -> UInt64 {
    do throws(ByteError) { return try reader.uint64() } catch { throw .malformed(error) }
  }

  mutating func varlong() throws(MetadataError) -> Int64 {
    do throws(ByteError) { return try reader.varlong() } catch { throw .malformed(error) }
  }

  mutating func varint(
    _ range: ClosedRange<Int32>, _ field: StaticString
  ) throws(MetadataError) -> Int32 {
    let value: Int32
    do throws(ByteError) { value = try reader.varint() } catch { throw .malformed(error) }
    guard range.contains(value) else { throw .invalidField("\(field) is \(value)") }
    return value
  }

  /// A count of elements of at least `size` bytes each, which must be there.
  mutating func count(ofSize size: Int) throws(MetadataError) -> Int {
    let at = reader.position
    let count: UInt32
    do throws(ByteError) { count = try reader.unsignedVarint() } catch { throw .malformed(error) }
    guard Int(count) <= reader.remaining / size else {
      throw .malformed(.countExceedsInput(at: at, count: Int(count)))
    }
    return Int(count)
  }

  /// A count that is a number and no count of what follows.
  mutating func number() throws(MetadataError) -> Int {
    do throws(ByteError) { return Int(try reader.unsignedVarint()) } catch {
      throw .malformed(error)
    }
  }

  mutating func text() throws(MetadataError) -> [UInt8] {
    Array(try slice(try count(ofSize: 1)))
  }

  mutating func slice(_ count: Int) throws(MetadataError) -> ArraySlice<UInt8> {
    do throws(ByteError) { return try reader.slice(count) } catch { throw .malformed(error) }
  }

  mutating func uuid() throws(MetadataError) -> UUID16 {
    let id = UUID16(high: try uint64(), low: try uint64())
    guard id != .zero else { throw .invalidField("an id is zero") }
    return id
  }

  mutating func replicas() throws(MetadataError) -> [Int32] {
    let count = try count(ofSize: 1)
    var replicas: [Int32] = []
    replicas.reserveCapacity(count)
    for _ in 0..<count { replicas.append(try varint(0 ... .max, "broker")) }
    return replicas
  }

  mutating func configs() throws(MetadataError) -> ConfigValues {
    var configs = ConfigValues()
    for _ in 0..<(try count(ofSize: 2)) {
      let name = try string()
      guard name.isASCII else { throw .invalidField("the name of a setting is not ASCII") }
      configs[name] = try string()
    }
    return configs
  }

  mutating func topic() throws(MetadataError) -> TopicState {
    let id = try uuid()
    let name = try string()
    guard TopicName.isValid(name) else { throw .invalidField("a topic is called '\(name)'") }
    let factor = Int(try varint(1...Int32(Int16.max), "replication factor"))
    let replicas = try replicas()
    guard !replicas.isEmpty, replicas.count.isMultiple(of: factor) else {
      throw .invalidField("\(replicas.count) replicas with a replication factor of \(factor)")
    }
    return TopicState(
      id: id, name: name, replicationFactor: factor, replicas: replicas, configs: try configs())
  }

  mutating func producer() throws(MetadataError) -> TransactionalProducer {
    TransactionalProducer(
      id: ProducerID(try varlong()), epoch: try epoch(), lastID: ProducerID(try varlong()),
      lastEpoch: try epoch())
  }

  mutating func node() throws(MetadataError) -> RegisteredNode {
    let id = try varint(0 ... .max, "node")
    let incarnation = try uint64()
    let host = try string()
    let port = try varint(0...65535, "port")
    let racks = try count(ofSize: 1)
    guard racks <= 1 else { throw .invalidField("a node stands in \(racks) racks") }
    return RegisteredNode(
      id: id, incarnation: incarnation, host: host, port: port,
      rack: racks == 0 ? nil : try string())
  }

  mutating func group() throws(MetadataError) -> GroupKey {
    let topic = UUID16(high: try uint64(), low: try uint64())
    return GroupKey(topic: topic, partition: try varint(0 ... .max, "partition"))
  }

  mutating func members() throws(MetadataError) -> [NodeIncarnation] {
    var members: [NodeIncarnation] = []
    for _ in 0..<(try count(ofSize: 9)) {
      let node = try varint(0 ... .max, "node")
      if let last = members.last, last.node >= node {
        throw .invalidField("node \(node) stands behind node \(last.node)")
      }
      members.append(NodeIncarnation(node: node, incarnation: try uint64()))
    }
    return members
  }

  mutating func membership() throws(MetadataError) -> GroupMembership {
    let version = try varlong()
    guard version > 0 else { throw .invalidField("membership \(version)") }
    let membership = GroupMembership(
      version: version, voters: try members(), learners: try members())
    guard membership.isSound else {
      throw .invalidField("membership \(version) has no voter, or a node twice")
    }
    return membership
  }

  private mutating func epoch() throws(MetadataError) -> ProducerEpoch {
    ProducerEpoch(Int16(try varint(-1...Int32(Int16.max), "producer epoch")))
  }

  private mutating func string() throws(MetadataError) -> String {
    let size = try count(ofSize: 1)
    do throws(ByteError) { return try reader.string(size) } catch { throw .malformed(error) }
  }
}
