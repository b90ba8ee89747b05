internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Replication

/// A client's request on its way to the leader of the metadata.
struct Forward {
  let request: Request
  /// Milliseconds of the steady clock.
  let deadline: Int64
  /// Nil while nobody is known who would take it.
  var sentTo: Int32?
  /// What came back, and below which offset the metadata is to be applied before it is given.
  var answer: (applied: Offset, frame: [UInt8])?
}

/// Requests that change the metadata go to its leader, from whichever node was asked: many clients
/// send InitProducerId to any.
extension Node {
  /// This node leads the metadata and has all of it.
  var isController: Bool { controllerEpoch != nil }

  func forward(_ request: Request) {
    guard request.origin.forwardedBy == nil else {
      // It was sent here because this node led.
      refuseForwarded(request)
      return
    }
    guard forwards.count < options.cluster.forwardsMax else {
      refuse(request)
      return
    }
    let token = freshNumber()
    forwards[token] = Forward(
      request: request, deadline: now + options.cluster.forwardMilliseconds)
    advance(forward: token)
  }

  private func advance(forward token: UInt64) {
    guard let forward = forwards[token], forward.answer == nil, forward.sentTo == nil else {
      return
    }
    if isController {
      forwards[token] = nil
      routeAgain(forward.request)
      return
    }
    guard let leader = leader(of: .metadata)?.leader, leader != options.id else { return }
    forwards[token]?.sentTo = leader
    peers.send(
      .forward(
        token: token, clientHost: forward.request.origin.clientHost, forward.request.bytes),
      to: leader)
  }

  /// Somebody may lead the metadata now.
  func advanceForwards() {
    for token in forwards.keys.sorted() { advance(forward: token) }
  }

  private func routeAgain(_ request: Request) {
    do throws(WireError) {
      try route(request)
    } catch {
      answer(request, .close("its \(request.frame.api) request cannot be read: \(error)"))
    }
  }

  /// The node that was asked is gone: whether it has done it is not known, and all of these may be
  /// done twice. They are asked for by another number: the answer of the first time, which may come
  /// when the node is reached again, is not to be given when it is done a second time. A producer
  /// would be fenced by itself.
  func forwardsLost(to peer: Int32) {
    for token in forwards.keys.sorted() where forwards[token]?.sentTo == peer {
      guard var forward = forwards[token], forward.answer == nil else { continue }
      forward.sentTo = nil
      forwards[token] = nil
      forwards[freshNumber()] = forward
    }
  }

  func timeOutForwards() {
    for token in forwards.keys.sorted() {
      guard let forward = forwards[token] else { continue }
      guard forward.deadline > now else {
        forwards[token] = nil
        refuse(forward.request)
        continue
      }
      if forward.sentTo == nil { advance(forward: token) }
    }
  }

  /// Tells the client to try again.
  private func refuse(_ request: Request) {
    do throws(WireError) {
      guard let body = try controllerRequest(request) else { return }
      let why = "No node leads the cluster's metadata at the moment; try again."
      reply(request, body.refused(body.elsewhereCode, why))
    } catch {
      answer(request, .close("its \(request.frame.api) request cannot be read: \(error)"))
    }
  }

  // MARK: At the node that leads

  func forwarded(
    _ token: UInt64, _ clientHost: String, _ frame: ArraySlice<UInt8>, from peer: Int32
  ) {
    var origin = RequestOrigin(
      connection: ConnectionID(0), sequence: token, clientHost: clientHost)
    origin.forwardedBy = peer
    handle(frame, from: origin, now: time)
  }

  private func refuseForwarded(_ request: Request) {
    guard let peer = request.origin.forwardedBy else { return }
    peers.send(.notController(token: request.origin.sequence), to: peer)
  }

  /// The answer to a request of another node's client.
  func answerForwarded(_ request: Request, to peer: Int32, _ content: NodeAnswer.Content) {
    guard case .frame(let frame, _) = content, frame.holes.isEmpty else {
      refuseForwarded(request)
      return
    }
    peers.send(
      .forwarded(
        token: request.origin.sequence, applied: metadataApplied, frame.bytes[...]), to: peer)
  }

  // MARK: At the node that was asked

  func forwardAnswered(_ token: UInt64, _ applied: Offset, _ frame: ArraySlice<UInt8>) {
    guard forwards[token] != nil else { return }
    forwards[token]?.answer = (applied, Array(frame))
    answerForwards()
  }

  func forwardRefused(_ token: UInt64) { forwards[token]?.sentTo = nil }

  /// Gives the answers whose effects can be seen here.
  func answerForwards() {
    for token in forwards.keys.sorted() {
      guard let forward = forwards[token], let answer = forward.answer,
        answer.applied <= metadataInForce || plants(.answerForwardsEarly)
      else { continue }
      forwards[token] = nil
      let frame = EncodedFrame(whole: answer.frame)
      metrics.answered(forward.request.frame.api, frame.error)
      self.answer(forward.request, .frame(frame, []))
    }
  }
}

extension ControllerRequest {
  /// What makes a client ask again, after it has looked for the controller.
  var elsewhereCode: ErrorCode {
    switch self {
    case .initProducerId: .coordinatorLoadInProgress
    case .metadata: .leaderNotAvailable
    default: .notController
    }
  }
}
