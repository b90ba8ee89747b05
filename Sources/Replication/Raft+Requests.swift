internal import Bytes

// MARK: - Reads (dissertation, 6.4)

extension Raft {
  /// What is committed now, if this is the leader still: a majority is asked.
  mutating func read(_ token: UInt64, into effects: inout [Effect]) {
    guard isLeader else { return effects.append(.answerRead(token, nil)) }
    leadership.waitingReads.append(token)
    beginReads(into: &effects)
  }

  mutating func beginReads(into effects: inout [Effect]) {
    guard isReady, !leadership.waitingReads.isEmpty else { return }
    leadership.context += 1
    for token in leadership.waitingReads {
      leadership.reads.append((leadership.context, token, committed.offset))
    }
    leadership.waitingReads = []
    if membership.quorum > 1 { beat(into: &effects) }
    answerReads(into: &effects)
  }

  mutating func answered(
    _ context: UInt64, _ isQuiet: Bool, from peer: NodeID, into effects: inout [Effect]
  ) {
    guard isLeader, let index = leadership.index(of: peer) else { return }
    leadership.peers[index].isActive = true
    leadership.peers[index].context = max(leadership.peers[index].context, context)
    leadership.peers[index].quietContext = isQuiet ? context : 0
    answerReads(into: &effects)
  }

  private mutating func answerReads(into effects: inout [Effect]) {
    guard !leadership.reads.isEmpty else { return }
    if plants(.readWithoutQuorum) {
      leadership.reads.indices.forEach { leadership.reads[$0].context = 0 }
    }
    let confirmed = membership.reached { node in
      if node == id { return leadership.context }
      return leadership.index(of: node).map { leadership.peers[$0].context } ?? 0
    }
    let count = leadership.reads.prefix { $0.context <= confirmed ?? 0 }.count
    for read in leadership.reads[..<count] {
      effects.append(.answerRead(read.token, read.offset))
    }
    leadership.reads.removeFirst(count)
  }
}

// MARK: - Transfer (dissertation, 3.10)

extension Raft {
  mutating func transfer(to wished: NodeID?, into effects: inout [Effect]) {
    guard isLeader else { return }
    let none = LogPosition(epoch: .none, offset: .zero)
    let able = leadership.peers.filter { membership.voters.contains($0.peer) && $0.match != nil }
    let target = wished ?? able.max { ($0.match ?? none) < ($1.match ?? none) }?.peer
    guard let target, able.contains(where: { $0.peer == target }) else { return }
    leadership.transfer = (target, 0, false)
    handOver(into: &effects)
  }

  /// Asks the target to stand when it has everything.
  mutating func handOver(into effects: inout [Effect]) {
    guard let transfer = leadership.transfer, !transfer.isAsked,
      let index = leadership.index(of: transfer.target),
      leadership.peers[index].match == end || plants(.transferBehind)
    else { return }
    leadership.transfer?.isAsked = true
    // To go on while the target stands would leave it behind.
    leadership.transfer?.ticks = 0
    effects.append(message(.takeOver, to: transfer.target))
  }
}
