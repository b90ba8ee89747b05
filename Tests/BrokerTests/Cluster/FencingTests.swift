import Broker
import Bytes
import KafkaWire
import Records
import Testing

/// A transactional id's next producer: from when it has its identity, nobody takes records of the
/// one before.
@Suite struct `Fencing in a cluster` {
  private func identity(_ cluster: ClusterHarness, at id: Int32) throws -> InitProducerIdResponse {
    try cluster.call(Self.initProducer, version: 4, to: id)
  }

  private static let initProducer = InitProducerIdRequest.with {
    $0.transactionalId = "orders-writer"
    $0.transactionTimeoutMs = 60_000
  }

  private func batch(_ producer: InitProducerIdResponse, _ sequence: Int32) throws -> [UInt8] {
    var builder = RecordBatchBuilder(
      producer: .init(
        id: ProducerID(producer.producerId), epoch: ProducerEpoch(producer.producerEpoch),
        baseSequence: sequence))
    try builder.append(key: nil, value: [1], timestamp: Timestamp(1))
    return builder.buildUncompressed()
  }

  private func produce(
    _ cluster: ClusterHarness, _ producer: InitProducerIdResponse, _ sequence: Int32,
    to partition: Int32, at id: Int32
  ) throws -> ErrorCode {
    try cluster.call(request(producer, sequence, to: partition), version: 9, to: id)
      .responses[0].partitionResponses[0].errorCode
  }

  private func request(
    _ producer: InitProducerIdResponse, _ sequence: Int32, to partition: Int32
  ) throws -> ProduceRequest {
    var request = try Requests.produce("orders", ["x"], partition: partition)
    request.topicData[0].partitionData[0].records = try batch(producer, sequence)[...]
    return request
  }

  private struct Roles {
    let cluster: ClusterHarness
    /// Who leads the metadata.
    let controller: Int32
    /// Another node, and a partition that it leads.
    let leader: Int32
    let partition: Int32
    /// Leads nothing.
    let other: Int32
  }

  private func roles(_ planted: PlantedNodeMistakes = []) throws -> Roles {
    let cluster = try ClusterHarness(planted: planted)
    #expect(try cluster.createTopic("orders", partitions: 2) == .none)
    // All replicas are there.
    cluster.wait(500)
    let controller = try cluster.call(MetadataRequest(), version: 9, to: 1).controllerId
    let others = (1...3).filter { $0 != controller }
    let partition = try #require(
      try (0..<2).first { try cluster.leader("orders", $0) == others[0] })
    return Roles(
      cluster: cluster, controller: controller, leader: others[0], partition: partition,
      other: others[1])
  }

  @Test(arguments: [[], PlantedNodeMistakes.answerFencesEarly])
  func `an identity is given when no leader takes records of the one before`(
    planted: PlantedNodeMistakes
  ) throws {
    let roles = try roles(planted)
    let cluster = roles.cluster
    let first = try identity(cluster, at: roles.controller)
    #expect(try produce(cluster, first, 0, to: roles.partition, at: roles.leader) == .none)
    // The leader goes on with the third node, and hears nothing of what the controller decides.
    cluster.hold(roles.controller, roles.leader)
    let asked = try cluster.send(Self.initProducer, version: 4, to: roles.controller)
    cluster.wait(300)
    #expect(try produce(cluster, first, 1, to: roles.partition, at: roles.leader) == .none)
    let early = try cluster.response(
      to: asked, of: roles.controller, InitProducerIdRequest.self, version: 4)
    // The mistake is seen: it was answered, and the one before has written since.
    #expect((early != nil) == (planted == .answerFencesEarly))
    cluster.heal()
    cluster.wait(1000)
    let second = try #require(
      try cluster.response(to: asked, of: roles.controller, InitProducerIdRequest.self, version: 4))
    #expect(second.errorCode == .none)
    #expect(second.producerEpoch == first.producerEpoch + 1)
    #expect(
      try produce(cluster, first, 2, to: roles.partition, at: roles.leader) == .invalidProducerEpoch
    )
    #expect(try produce(cluster, second, 0, to: roles.partition, at: roles.leader) == .none)
  }

  @Test func `a node that is down does not keep an identity from being given`() throws {
    let roles = try roles()
    let cluster = roles.cluster
    let first = try identity(cluster, at: roles.controller)
    #expect(try produce(cluster, first, 0, to: roles.partition, at: roles.leader) == .none)
    cluster.kill(roles.leader)
    let second = try identity(cluster, at: roles.controller)
    #expect(second.errorCode == .none)
    let next = try #require(try cluster.leader("orders", roles.partition))
    #expect(try produce(cluster, first, 1, to: roles.partition, at: next) == .invalidProducerEpoch)
    #expect(try produce(cluster, second, 0, to: roles.partition, at: next) == .none)
  }

  @Test func `who is elected takes an idempotent producer's records at once`() throws {
    let roles = try roles()
    let cluster = roles.cluster
    let producer = try identity(cluster, at: roles.controller)
    #expect(try produce(cluster, producer, 0, to: roles.partition, at: roles.leader) == .none)
    let before = cluster.steady
    cluster.kill(roles.leader)
    let next = try #require(try cluster.leader("orders", roles.partition))
    #expect(try produce(cluster, producer, 1, to: roles.partition, at: next) == .none)
    #expect(cluster.steady == before)
    // Its last is a duplicate there, too.
    #expect(try produce(cluster, producer, 1, to: roles.partition, at: next) == .none)
    #expect(try cluster.values("orders", partition: roles.partition, at: next).count == 2)
  }

  @Test(arguments: [[], PlantedNodeMistakes.serveBeforeFences])
  func `who is elected without having heard of a fence refuses the fenced nevertheless`(
    planted: PlantedNodeMistakes
  ) throws {
    let roles = try roles(planted)
    let cluster = roles.cluster
    let first = try identity(cluster, at: roles.controller)
    #expect(try produce(cluster, first, 0, to: roles.partition, at: roles.leader) == .none)
    cluster.hold(roles.controller, roles.other)
    let second = try identity(cluster, at: roles.controller)
    #expect(second.errorCode == .none)
    cluster.cut(roles.controller, roles.leader)
    try cluster.node(roles.leader).giveLeadershipsAway(now: cluster.time)
    cluster.settle()
    let origin = try cluster.send(
      request(first, 1, to: roles.partition), version: 9, to: roles.other)
    cluster.wait(50)
    let early = try cluster.response(to: origin, of: roles.other, ProduceRequest.self, version: 9)
    #expect((early != nil) == (planted == .serveBeforeFences))
    cluster.heal()
    cluster.wait(1000)
    let late = try #require(
      try cluster.response(to: origin, of: roles.other, ProduceRequest.self, version: 9))
    let isTaken = late.responses[0].partitionResponses[0].errorCode == .none
    #expect(isTaken == (planted == .serveBeforeFences))
    #expect(isTaken || late.responses[0].partitionResponses[0].errorCode == .invalidProducerEpoch)
  }
}
