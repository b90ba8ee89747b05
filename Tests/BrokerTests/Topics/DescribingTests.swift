import Broker
import Bytes
import KafkaWire
import Testing

@Suite struct `Metadata` {
  @Test func `nil asks for all topics, in version 0 an empty list does`() throws {
    var harness = try ControllerHarness()
    for name in ["b", "a", "c"] { _ = try harness.created(name) }
    #expect(try harness.metadata(nil).topics.map(\.name) == ["a", "b", "c"])
    #expect(try harness.metadata([], version: 0).topics.map(\.name) == ["a", "b", "c"])
    #expect(try harness.metadata([], version: 1).topics.isEmpty)
  }

  @Test func `a topic is told with its partitions and leaders, once`() throws {
    var harness = try ControllerHarness(brokers: 3)
    let id = try harness.created("t", partitions: 2, factor: 3).topicId
    _ = try harness.answer(.identifyCluster(UUID16(high: 1, low: 1)), version: 0)
    let response = try harness.metadata(["t", "t"])
    #expect(response.topics.count == 1)
    #expect(response.topics[0].topicId == id)
    #expect(response.topics[0].partitions.map(\.replicaNodes) == [[1, 2, 3], [2, 3, 1]])
    #expect(response.topics[0].partitions.allSatisfy { $0.leaderId == 1 && $0.leaderEpoch == 7 })
    #expect(response.brokers.map(\.nodeId) == [1, 2, 3])
    #expect(response.clusterId == UUID16(high: 1, low: 1).base64url)
    #expect(response.controllerId == 1)
  }

  @Test func `a partition without a leader says so`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t")
    let cluster = ClusterView(
      brokers: [ClusterView.Broker(id: 1, host: "h", port: 1)], controllerId: 1,
      leadership: { _, _ in .none })
    let request = MetadataRequest.with { $0.topics = nil }
    let effects = harness.step(
      .request(
        Controller.Submission(
          .metadata(request), version: 9, token: ReplyToken(9), cluster: cluster)))
    guard case .reply(_, .metadata(let response)) = effects.first else {
      Issue.record("\(effects)")
      return
    }
    #expect(response.topics[0].partitions[0].errorCode == .leaderNotAvailable)
    #expect(response.topics[0].partitions[0].leaderId == -1)
  }

  private func byId(_ harness: inout ControllerHarness, _ id: UUID16, _ version: Int16) throws
    -> MetadataResponse.Topic
  {
    let request = MetadataRequest.with {
      $0.topics = [
        .with {
          $0.name = nil
          $0.topicId = id
        }
      ]
    }
    guard
      case .metadata(let response) = try harness.answer(.metadata(request), version: version),
      let topic = response.topics.first
    else { throw ControllerHarness.HarnessError.noAnswer }
    _ = try Frame.response(response, version: version, correlationId: 1)
    return topic
  }

  @Test func `topics are found by id from version 12 on`() throws {
    var harness = try ControllerHarness()
    let id = try harness.created("t").topicId
    #expect(try byId(&harness, id, 12).name == "t")
    let unknown = try byId(&harness, UUID16(high: 1, low: 1), 13)
    #expect(unknown.errorCode == .unknownTopicId)
    #expect(unknown.name == nil)
    #expect(try byId(&harness, id, 11).errorCode == .invalidRequest)
  }

  @Test func `a name that is not ASCII finds no topic, not even an equivalent one`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("K")
    #expect(try harness.metadata(["\u{212A}"]).topics[0].errorCode == .invalidTopicException)
  }

  @Test(arguments: 0...13 as ClosedRange<Int16>)
  func `every version is answered`(version: Int16) throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t")
    #expect(try harness.metadata(["t", "nope"], version: version).topics.count == 2)
  }

  @Test func `operations are told to those who ask, in Kafka's bits`() throws {
    var harness = try ControllerHarness()
    _ = try harness.created("t")
    func ask(_ version: Int16) throws -> MetadataResponse {
      let request = MetadataRequest.with {
        $0.topics = nil
        $0.includeClusterAuthorizedOperations = true
        $0.includeTopicAuthorizedOperations = true
      }
      guard
        case .metadata(let response) = try harness.answer(.metadata(request), version: version)
      else { throw ControllerHarness.HarnessError.noAnswer }
      return response
    }
    // As Kafka 4.3 answers without an authorizer.
    #expect(try ask(8).clusterAuthorizedOperations == 8096)
    #expect(try ask(8).topics[0].topicAuthorizedOperations == 3576)
    #expect(try ask(11).clusterAuthorizedOperations == .min)
    #expect(try harness.metadata(nil).topics[0].topicAuthorizedOperations == .min)
  }
}

@Suite struct `DescribeCluster` {
  @Test(arguments: [
    (Int8(1), ErrorCode.none), (2, .mismatchedEndpointType), (3, .unsupportedEndpointType),
  ])
  func `only brokers are described`(type: Int8, code: ErrorCode) throws {
    var harness = try ControllerHarness(brokers: 3)
    let request = DescribeClusterRequest.with {
      $0.endpointType = type
      $0.includeClusterAuthorizedOperations = true
    }
    let answer = try harness.answer(.describeCluster(request), version: 1)
    guard case .describeCluster(let response) = answer else { return }
    #expect(response.errorCode == code)
    #expect(response.brokers.count == (code == .none ? 3 : 0))
    #expect(response.clusterAuthorizedOperations == (code == .none ? 8096 : .min))
  }
}

@Suite struct `ApiVersions` {
  private func answer(
    version: Int16, name: String = "kcat", software: String = "1.7.1"
  ) throws -> ApiVersionsAnswer {
    let request = ApiVersionsRequest.with {
      $0.clientSoftwareName = name
      $0.clientSoftwareVersion = software
    }
    let frame = try Frame.request(
      request, version: min(version, 4), correlationId: 1, clientId: "c")
    var bytes = Array(frame.bytes.dropFirst(4))
    bytes[3] = UInt8(version)
    return try ApiVersionsAnswer(to: RequestFrame(bytes[...]))
  }

  @Test(arguments: 0...4 as ClosedRange<Int16>)
  func `what is routed is what is told`(version: Int16) throws {
    let answer = try answer(version: version)
    #expect(answer.version == version)
    #expect(answer.response.errorCode == .none)
    #expect(answer.response.apiKeys.map(\.apiKey) == RoutedAPIs.table.map(\.key.rawValue))
    #expect(answer.response.finalizedFeatures.isEmpty)
    #expect(
      answer.response.apiKeys.map(\.apiKey)
        == [0, 1, 2, 3] + (8...16) + (18...24) + [32, 33, 37] + (42...47) + [55, 60, 75])
  }

  @Test func `ranges reach below what is served only where old clients look for it`() {
    let wider = RoutedAPIs.table.filter { $0.advertised != $0.served }.map(\.key)
    #expect(
      wider == [.produce, .offsetCommit, .createTopics, .deleteTopics, .describeConfigs])
    for route in RoutedAPIs.table {
      #expect(route.advertised.upperBound == route.served.upperBound)
      #expect(route.key.versions.contains(route.served.lowerBound))
    }
    #expect(!RoutedAPIs.serves(.produce, version: 2))
    #expect(RoutedAPIs.serves(.produce, version: 3))
    #expect(!RoutedAPIs.serves(.produce, version: 13))
    #expect(!RoutedAPIs.serves(.fetch, version: 17))
  }

  @Test func `a version from the future is answered as version 0, with the range to try`() throws {
    let answer = try answer(version: 9)
    #expect(answer.version == 0)
    #expect(answer.response.errorCode == .unsupportedVersion)
    #expect(answer.response.apiKeys.map(\.apiKey) == [18])
    #expect(answer.response.apiKeys.map(\.maxVersion) == [4])
  }

  @Test(arguments: [
    ("kcat", "1.7.1", true), ("a", "1", true), ("apache-kafka-java", "4.3.0", true),
    ("", "1", false), ("-a", "1", false), ("a-", "1", false), ("a b", "1", false),
    ("a", "", false), ("a", "1.", false), ("é", "1", false),
  ])
  func `a client's name is letters, digits, dots and dashes`(
    name: String, software: String, isGood: Bool
  ) throws {
    let answer = try answer(version: 3, name: name, software: software)
    #expect(answer.response.errorCode == (isGood ? .none : .invalidRequest))
    #expect(try self.answer(version: 2, name: name).response.errorCode == .none)
  }
}
