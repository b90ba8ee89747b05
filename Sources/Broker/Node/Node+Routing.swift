internal import KafkaWire
internal import LogStore

/// Which request goes where.
extension Node {
  /// Takes a frame in. It is answered once, now or later.
  package func handle(_ frame: ArraySlice<UInt8>, from origin: RequestOrigin, now: NodeTime) {
    time = now
    let request: Request
    do throws(WireError) {
      request = Request(origin: origin, frame: try RequestFrame(frame))
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

  private func route(_ request: Request) throws(WireError) {
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
    let frame = request.frame
    switch frame.api {
    case .metadata: ask(.metadata(try frame.decode(MetadataRequest.self)), request)
    case .describeCluster:
      ask(.describeCluster(try frame.decode(DescribeClusterRequest.self)), request)
    case .describeConfigs:
      ask(.describeConfigs(try frame.decode(DescribeConfigsRequest.self)), request)
    case .createTopics: ask(.createTopics(try frame.decode(CreateTopicsRequest.self)), request)
    case .deleteTopics: ask(.deleteTopics(try frame.decode(DeleteTopicsRequest.self)), request)
    case .createPartitions:
      ask(.createPartitions(try frame.decode(CreatePartitionsRequest.self)), request)
    case .alterConfigs: ask(.alterConfigs(try frame.decode(AlterConfigsRequest.self)), request)
    case .incrementalAlterConfigs:
      ask(
        .incrementalAlterConfigs(try frame.decode(IncrementalAlterConfigsRequest.self)), request)
    case .initProducerId:
      ask(.initProducerId(try frame.decode(InitProducerIdRequest.self)), request)
    case .electLeaders: ask(.electLeaders(try frame.decode(ElectLeadersRequest.self)), request)
    case .alterPartitionReassignments:
      ask(
        .alterPartitionReassignments(try frame.decode(AlterPartitionReassignmentsRequest.self)),
        request)
    case .listPartitionReassignments:
      ask(
        .listPartitionReassignments(try frame.decode(ListPartitionReassignmentsRequest.self)),
        request)
    case .describeQuorum:
      ask(.describeQuorum(try frame.decode(DescribeQuorumRequest.self)), request)
    case .describeTopicPartitions:
      ask(.describeTopicPartitions(try frame.decode(DescribeTopicPartitionsRequest.self)), request)
    default: answer(request, .close("\(frame.api) is not served here"))
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

  // MARK: Coordinators

  /// This node coordinates every group, once the topic of their offsets is there, and every
  /// transactional id: their producers ask for a coordinator before they ask for their epoch.
  private func findCoordinator(_ request: Request) throws(WireError) {
    // Before it waits: what cannot be read closes the connection now.
    let body = try request.frame.decode(FindCoordinatorRequest.self)
    guard body.keyType == 0, !groupsAreLoaded else {
      answerCoordinator(request)
      return
    }
    waitingForOffsetsTopic.append(request)
    if waitingForOffsetsTopic.count == 1 {
      submit(.ensureInternalTopic(Self.offsetsTopic), 0, nil)
    }
  }

  /// The topic of the offsets, once the logs of all its partitions are there.
  var wholeOffsetsTopic: NodeTopic? {
    guard let topic = topics[Self.offsetsTopic],
      let state = controller.state.topic(named: Self.offsetsTopic),
      topic.partitions.count == Int(state.partitionsCount),
      topic.partitions.allSatisfy({ $0 != nil })
    else { return nil }
    return topic
  }

  func loadGroupsIfMade() {
    guard !groupsAreLoaded, let topic = wholeOffsetsTopic else { return }
    countGroupPartitions()
    loadGroups(topic)
    groupsAreLoaded = true
    answerCoordinators()
  }

  func answerCoordinators() {
    let waiting = waitingForOffsetsTopic
    waitingForOffsetsTopic = []
    for request in waiting { answerCoordinator(request) }
  }

  private func answerCoordinator(_ request: Request) {
    guard let body = try? request.frame.decode(FindCoordinatorRequest.self) else { return }
    let code: ErrorCode
    switch body.keyType {
    case 0: code = groupsAreLoaded ? .none : .coordinatorNotAvailable
    case 1: code = .none
    // Share groups have no coordinator here yet.
    case 2: code = .coordinatorNotAvailable
    default: code = .invalidRequest
    }
    let isThere = code == .none
    var response = FindCoordinatorResponse()
    if request.version < 4 {
      response.errorCode = code
      response.nodeId = isThere ? options.id : -1
      response.host = isThere ? options.host : ""
      response.port = isThere ? Int32(options.port) : -1
    } else {
      response.coordinators = body.coordinatorKeys.map { key in
        var coordinator = FindCoordinatorResponse.Coordinator()
        coordinator.key = key
        coordinator.errorCode = code
        coordinator.nodeId = isThere ? options.id : -1
        coordinator.host = isThere ? options.host : ""
        coordinator.port = isThere ? Int32(options.port) : -1
        return coordinator
      }
    }
    reply(request, response)
  }
}
