import Bytes
import Replication
import Testing

@Suite struct `A leader that nothing happens to` {
  private let nodes = [NodeID(1), NodeID(2), NodeID(3)]

  private func position(_ offset: Int64) -> LogPosition {
    LogPosition(epoch: LeaderEpoch(0), offset: Offset(offset))
  }

  private func received(_ from: NodeID, _ body: Message.Body, _ epoch: Int32 = 0) -> Input {
    .received(
      Message(from: from, to: NodeID(1), version: 1, epoch: LeaderEpoch(epoch), body: body))
  }

  private func sent(_ to: NodeID, _ after: LogPosition, _ through: LogPosition) -> Input {
    .sent(Sent(to: to, epoch: LeaderEpoch(0), after: after, through: through, bytes: 100))
  }

  private func have(_ offset: Int64) -> Message.Body {
    .appended(.accepted(durable: position(offset), verified: position(offset)))
  }

  @Test func `asks to send what was appended, and commits it with the first other disk`() {
    var raft = Raft(
      id: nodes[0], membership: Membership(version: 1, voters: nodes), stored: .init(), seed: 1)
    var effects: [Effect] = []
    func step(_ inputs: Input...) -> [Effect] {
      effects.removeAll(keepingCapacity: true)
      for input in inputs { raft.step(input, into: &effects) }
      return effects
    }
    func vote(isPreVote: Bool) -> Message.Body {
      .voteResponse(
        VoteResponse(isPreVote: isPreVote, proposed: LeaderEpoch(0), isGranted: true))
    }
    let none = LogPosition(epoch: .none, offset: .zero)
    _ = step(
      .campaign, received(nodes[1], vote(isPreVote: true), -1),
      received(nodes[1], vote(isPreVote: false)),
      .voted(Vote(epoch: LeaderEpoch(0), candidate: 1)), .durable(position(0)))
    for node in nodes.dropFirst() {
      _ = step(sent(node, none, position(0)), received(node, have(0)))
    }
    #expect(raft.isReady)
    for offset in 1...1000 as ClosedRange<Int64> {
      let (before, now) = (position(offset - 1), position(offset))
      #expect(
        step(.appended(now))
          == nodes.dropFirst().map {
            .replicate(to: $0, after: before, bytesMax: raft.options.appendBytesMax)
          })
      #expect(step(sent(nodes[1], before, now), sent(nodes[2], before, now)) == [])
      #expect(step(.durable(now)) == [])
      #expect(step(received(nodes[1], have(offset))) == [.committed(now)])
      #expect(step(received(nodes[2], have(offset))) == [])
    }
  }
}
