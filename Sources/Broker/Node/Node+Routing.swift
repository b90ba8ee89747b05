internal import KafkaWire
internal import LogStore
internal import Replication

/// Which request goes where.
extension Node {
  /// Takes a frame in. It is answered once, now or later.
  package func handle(_ frame: ArraySlice<UInt8>, from origin: RequestOrigin, now: NodeTime) {
    time = now
    let request: Request
    do throws(WireError) {
      request = Request(origin: origin, frame: try RequestFrame(frame), bytes: frame)
    } catch {
      answers.append(NodeAnswer(origin: origin, api: nil, content: .close("\(error)")))
      return
    }
    if request.frame.api == .apiVersions {
      apiVersions(request)
      return
    }
    guard RoutedAPIs.serves(request.frame.api, version: request.version) else {
      answer(
        request, .close("\(request.frame.api) version \(request.version) is not served here"))
      return
    }
    do throws(WireError) {
      try route(request)
    } catch {
      answer(request, .close("its \(request.frame.api) request cannot be read: \(error)"))
    }
  }

  func route(_ request: Request) throws(WireError) {
    switch request.frame.api {
    case .produce: try produce(request)
    case .fetch: try fetch(request)
    case .listOffsets: try listOffsets(request)
    case .offsetForLeaderEpoch: try offsetForLeaderEpoch(request)
    case .deleteRecords: try deleteRecords(request)
    case .findCoordinator: try findCoordinator(request)
    case .joinGroup: try joinGroup(request)
    case .syncGroup: try syncGroup(request)
    case .heartbeat: try heartbeat(request)
    case .leaveGroup: try leaveGroup(request)
    case .offsetCommit: try offsetCommit(request)
    case .offsetFetch: try offsetFetch(request)
    case .offsetDelete: try offsetDelete(request)
    case .describeGroups: try describeGroups(request)
    case .listGroups: try listGroups(request)
    case .deleteGroups: try deleteGroups(request)
    case .addPartitionsToTxn: try addPartitionsToTxn(request)
    default: try routeToController(request)
    }
  }

  private func routeToController(_ request: Request) throws(WireError) {
    guard let body = try controllerRequest(request) else {
      answer(request, .close("\(request.frame.api) is not served here"))
      return
    }
    guard isController || !controller.needsController(body, version: request.version) else {
      return forward(request)
    }
    if case .metadata(let wanted) = body, mustAwaitLeaders(wanted, request) { return }
    ask(body, request)
  }

  func controllerRequest(_ request: Request) throws(WireError) -> ControllerRequest? {
    let frame = request.frame
    switch frame.api {
    case .metadata: return .metadata(try frame.decode(MetadataRequest.self))
    case .describeCluster: return .describeCluster(try frame.decode(DescribeClusterRequest.self))
    case .describeConfigs: return .describeConfigs(try frame.decode(DescribeConfigsRequest.self))
    case .createTopics: return .createTopics(try frame.decode(CreateTopicsRequest.self))
    case .deleteTopics: return .deleteTopics(try frame.decode(DeleteTopicsRequest.self))
    case .createPartitions:
      return .createPartitions(try frame.decode(CreatePartitionsRequest.self))
    case .alterConfigs: return .alterConfigs(try frame.decode(AlterConfigsRequest.self))
    case .incrementalAlterConfigs:
      return .incrementalAlterConfigs(try frame.decode(IncrementalAlterConfigsRequest.self))
    case .initProducerId: return .initProducerId(try frame.decode(InitProducerIdRequest.self))
    case .electLeaders: return .electLeaders(try frame.decode(ElectLeadersRequest.self))
    case .alterPartitionReassignments:
      return .alterPartitionReassignments(
        try frame.decode(AlterPartitionReassignmentsRequest.self))
    case .listPartitionReassignments:
      return .listPartitionReassignments(try frame.decode(ListPartitionReassignmentsRequest.self))
    case .describeQuorum: return .describeQuorum(try frame.decode(DescribeQuorumRequest.self))
    case .describeTopicPartitions:
      return .describeTopicPartitions(try frame.decode(DescribeTopicPartitionsRequest.self))
    default: return nil
    }
  }

  /// In whatever version it was asked: the answer says what there is.
  private func apiVersions(_ request: Request) {
    do throws(WireError) {
      let answered = try ApiVersionsAnswer(to: request.frame)
      let frame = try Frame.response(
        answered.response, version: answered.version,
        correlationId: request.frame.header.correlationId)
      metrics.answered(.apiVersions, frame.error)
      answer(request, .frame(frame, []))
    } catch {
      answer(request, .close("its ApiVersions request cannot be read: \(error)"))
    }
  }

  /// There are no transactions yet; of a transactional id the fencing is served.
  private func addPartitionsToTxn(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(AddPartitionsToTxnRequest.self)
    var response = AddPartitionsToTxnResponse()
    response.resultsByTopicV3AndBelow = body.v3AndBelowTopics.map { asked in
      var topic = AddPartitionsToTxnResponse.Topic()
      topic.name = asked.name
      topic.resultsByPartition = asked.partitions.map { index in
        var partition = AddPartitionsToTxnResponse.Partition()
        partition.partitionIndex = index
        partition.partitionErrorCode = .unsupportedVersion
        return partition
      }
      return topic
    }
    reply(request, response)
  }
}
