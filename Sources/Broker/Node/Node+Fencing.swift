internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Replication

/// Another node's question whether a fence is in force here.
struct FenceQuestion {
  let peer: Int32
  let token: UInt64
  let applied: Offset
}

/// Fenced producers: see `FenceInquiry` and `FenceKnowledge`.
extension Node {
  /// Who was asked what is committed and has not answered for so long is asked again.
  private static let fenceMilliseconds: Int64 = 100
  private static let fenceQuestionsMax = 1000

  // MARK: Who fences

  /// Answers once nobody takes records of the producer's predecessor.
  func replyFenced(_ request: Request, _ response: InitProducerIdResponse) {
    guard !options.cluster.isAlone, response.errorCode == .none,
      let body = try? request.frame.decode(InitProducerIdRequest.self), body.transactionalId != nil
    else { return reply(request, response) }
    var inquiry = FenceInquiry(
      request, response, applied: metadataApplied,
      deadline: now + options.cluster.forwardMilliseconds)
    inquiry.confirm(options.id, mayLead: mayLead)
    let token = freshNumber()
    fenceInquiries[token] = inquiry
    askAboutFence(token)
    passFence(token)
  }

  private func askAboutFence(_ token: UInt64) {
    guard let inquiry = fenceInquiries[token] else { return }
    for peer in peers.nodes {
      peers.send(.askFenced(token: token, applied: inquiry.applied), to: peer)
    }
  }

  func fenceConfirmed(_ token: UInt64, by peer: Int32, mayLead: [Int32]) {
    fenceInquiries[token]?.confirm(peer, mayLead: mayLead)
    passFence(token)
  }

  private func passFence(_ token: UInt64) {
    guard let inquiry = fenceInquiries[token] else { return }
    let isInForce = inquiry.isInForce(groups: findVotersOfPartitions()) {
      peers.connected.contains($0)
    }
    guard isInForce || plants(.answerFencesEarly) else { return }
    fenceInquiries[token] = nil
    reply(inquiry.request, inquiry.response)
  }

  private func findVotersOfPartitions() -> [[Int32]] {
    if let votersOfPartitions { return votersOfPartitions }
    // Membership only.
    var seen: Set<[Int32]> = []
    var found: [[Int32]] = []
    for topic in controller.state.names.compactMap({ controller.state.topic(named: $0) }) {
      for index in 0..<topic.partitionsCount {
        guard let membership = controller.state.membership(of: topic.id, index) else { continue }
        let voters = membership.voters.map(\.node)
        if seen.insert(voters).inserted { found.append(voters) }
      }
    }
    votersOfPartitions = found
    return found
  }

  /// Looks again at those that are not in force: somebody may have been elected.
  func advanceFences() {
    guard !fenceInquiries.isEmpty else { return }
    let mayLead = mayLead
    for token in fenceInquiries.keys.sorted() {
      guard let inquiry = fenceInquiries[token] else { continue }
      guard inquiry.deadline > now, isController else {
        fenceInquiries[token] = nil
        // It is fenced all the same; who asks again gets the next epoch.
        reply(inquiry.request, InitProducerIdResponse.refused(.coordinatorLoadInProgress))
        continue
      }
      fenceInquiries[token]?.confirm(options.id, mayLead: mayLead)
      askAboutFence(token)
      passFence(token)
    }
  }

  // MARK: Who is asked

  func askedFenced(_ question: FenceQuestion) {
    fenceQuestions.removeAll { $0.peer == question.peer && $0.token == question.token }
    // Who asked long ago asks again.
    if fenceQuestions.count >= Self.fenceQuestionsMax { fenceQuestions.removeFirst() }
    fenceQuestions.append(question)
    answerFenceQuestions()
  }

  /// Other nodes' fences are in force here where the metadata is applied so far.
  func answerFenceQuestions() {
    guard fenceQuestions.contains(where: { $0.applied <= metadataInForce }) else { return }
    let mayLead = mayLead
    for question in fenceQuestions where question.applied <= metadataInForce {
      peers.send(.fenced(token: question.token, mayLead: mayLead), to: question.peer)
    }
    fenceQuestions.removeAll { $0.applied <= metadataInForce }
  }

  /// Who may lead one of the partitions that this node has, as far as it knows, ascending.
  private var mayLead: [Int32] {
    // Sorted before anybody sees it.
    var nodes: Set<Int32> = []
    for replica in replicas.values where replica.kind != .metadata {
      if let leader = replica.raft.leader {
        nodes.insert(leader.rawValue)
      } else {
        nodes.formUnion(replica.raft.membership.voters.map(\.rawValue))
      }
    }
    return nodes.sorted()
  }

  // MARK: Who leads

  /// The partition is led here from now on; what was fenced before is to be known.
  func learnFences(_ replica: Replica) {
    fenceKnowledge.begin(replica.log, moment: freshNumber())
    askForFences()
  }

  /// What is committed of the metadata, of whoever leads it.
  func askForFences() {
    if let read = fenceKnowledge.read, now - read.askedAt >= Self.fenceMilliseconds {
      fenceKnowledge.giveUp()
    }
    guard fenceKnowledge.wantsRead, let leader = leader(of: .metadata)?.leader else { return }
    let token = freshNumber()
    fenceKnowledge.ask(token: token, now: now)
    if leader != options.id {
      peers.send(.askCommitted(token: token), to: leader)
    } else if let metadata = replicas[metadataLog] {
      step(metadata, .read(token))
    }
  }

  /// False if it was not asked because of fences.
  func fencesAnswered(_ token: UInt64, _ offset: Offset?) -> Bool {
    guard fenceKnowledge.answered(token, offset) else { return false }
    settleFences()
    return true
  }

  /// The metadata is applied further.
  func settleFences() {
    for log in fenceKnowledge.advance(applied: metadataInForce) {
      guard let replica = replicas[log], replica.leads else { continue }
      replica.knowsFences = true
    }
    advanceHeld()
    if fenceKnowledge.wantsRead { askForFences() }
  }

  func forgetFences(_ replica: Replica) {
    replica.knowsFences = false
    fenceKnowledge.end(replica.log)
  }
}
