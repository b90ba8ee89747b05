internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Platform
internal import Replication

/// Who coordinates which group: the leader of the partition of `__consumer_offsets` that the
/// group's offsets are in. Every node is a coordinator of transactional ids, whose producers ask
/// for one before they ask for their epoch, which is passed on to the leader of the metadata.
extension Node {
  /// How long a group's coordinator is waited for.
  private static let coordinatorMilliseconds: Int64 = 3000
  private static let waitingForCoordinatorsMax = 1000

  func findCoordinator(_ request: Request) throws(WireError) {
    // Before it waits: what cannot be read closes the connection now.
    let body = try request.frame.decode(FindCoordinatorRequest.self)
    guard body.keyType == 0, !hasCoordinators(body, request.version),
      waitingForCoordinators.count < Self.waitingForCoordinatorsMax
    else {
      answerCoordinator(request)
      return
    }
    waitingForCoordinators.add(request, body, until: now + Self.coordinatorMilliseconds)
    if waitingForCoordinators.count == 1 { wantOffsetsTopic() }
  }

  private func wantOffsetsTopic() {
    guard controller.state.topic(named: Self.offsetsTopic) == nil else { return }
    if isController {
      submit(.ensureInternalTopic(Self.offsetsTopic), 0, nil)
    } else if let leader = leader(of: .metadata)?.leader {
      peers.send(.internalTopic(Self.offsetsTopic), to: leader)
    }
  }

  /// All groups that are asked for have a coordinator.
  private func hasCoordinators(_ body: FindCoordinatorRequest, _ version: Int16) -> Bool {
    let keys = version < 4 ? [body.key] : body.coordinatorKeys
    return keys.allSatisfy { coordinator(ofGroup: $0) != nil }
  }

  /// The node that coordinates the group; nil if nobody does at the moment.
  private func coordinator(ofGroup id: String) -> ClusterView.Broker? {
    guard let topic = controller.state.topic(named: Self.offsetsTopic) else { return nil }
    let index = ExactString(id).coordinatorPartition(of: topic.partitionsCount)
    guard let leader = leader(of: GroupID(topic: topic.id, index: index))?.leader else {
      return nil
    }
    if leader == options.id, topics[Self.offsetsTopic]?.partition(index)?.isReady != true {
      return nil
    }
    return broker(leader)
  }

  /// Where clients reach a node.
  func broker(_ id: Int32) -> ClusterView.Broker? {
    if id == options.id {
      return ClusterView.Broker(id: id, host: options.host, port: Int32(options.port))
    }
    return controller.state.node(id).map { ClusterView.Broker($0, isAlive: true) }
  }

  /// Somebody leads something: those who wait look again.
  func answerCoordinators() {
    for one in waitingForCoordinators.take(where: {
      hasCoordinators($0.wanted, $0.request.version)
    }) {
      answerCoordinator(one.request)
    }
  }

  /// Their clients are told to try again: the topic is not made, or not led, for too long. With
  /// `all`, also those who have time.
  func timeOutCoordinators(all: Bool = false) {
    for one in waitingForCoordinators.take(where: { all || $0.deadline <= now }) {
      answerCoordinator(one.request)
    }
    if !waitingForCoordinators.isEmpty { wantOffsetsTopic() }
  }

  private func answerCoordinator(_ request: Request) {
    guard let body = try? request.frame.decode(FindCoordinatorRequest.self) else { return }
    var response = FindCoordinatorResponse()
    if request.version < 4 {
      let (code, node) = coordinator(of: body.key, type: body.keyType)
      response.errorCode = code
      response.nodeId = node?.id ?? -1
      response.host = node?.host ?? ""
      response.port = node?.port ?? -1
    } else {
      response.coordinators = body.coordinatorKeys.map { key in
        let (code, node) = coordinator(of: key, type: body.keyType)
        var coordinator = FindCoordinatorResponse.Coordinator()
        coordinator.key = key
        coordinator.errorCode = code
        coordinator.nodeId = node?.id ?? -1
        coordinator.host = node?.host ?? ""
        coordinator.port = node?.port ?? -1
        return coordinator
      }
    }
    reply(request, response)
  }

  private func coordinator(of key: String, type: Int8) -> (ErrorCode, ClusterView.Broker?) {
    switch type {
    case 0:
      guard let node = coordinator(ofGroup: key) else { return (.coordinatorNotAvailable, nil) }
      return (.none, node)
    case 1: return (.none, broker(options.id))
    // Share groups have no coordinator here yet.
    case 2: return (.coordinatorNotAvailable, nil)
    default: return (.invalidRequest, nil)
    }
  }
}
