import Bytes
import Replication

/// Inputs and effects as lines for people.
enum TraceText {
  static func position(_ position: LogPosition) -> String {
    "\(position.epoch.rawValue):\(position.offset.rawValue)"
  }

  static func input(_ input: Input) -> String {
    switch input {
    case .began: "began"
    case .campaign: "campaign"
    case .tick: "tick"
    case .received(let message): "from \(message.from.rawValue): \(body(message))"
    case .peerLost(let peer): "lost \(peer.rawValue)"
    case .peerFound(let peer): "found \(peer.rawValue)"
    case .voted(let vote): "voted \(vote.epoch.rawValue) for \(vote.candidate)"
    case .durable(let place): "durable \(position(place))"
    case .appended(let place): "appended \(position(place))"
    case .sent(let sent): "sent to \(sent.to.rawValue) through \(position(sent.through))"
    case .read(let token): "read \(token)"
    case .transfer(let target): "transfer to \(target.map { "\($0.rawValue)" } ?? "anybody")"
    case .membership(let members): "membership \(membership(members))"
    case .startAdvanced(let offset): "start \(offset.rawValue)"
    case .announce: "announce"
    case .fenced: "fenced"
    case .yields(let yields): yields ? "yields" : "yields no more"
    }
  }

  static func membership(_ membership: Membership) -> String {
    let learners = membership.learners.map { "\($0.rawValue)" }.joined(separator: ",")
    return "v\(membership.version) "
      + membership.voters.map { "\($0.rawValue)" }.joined(separator: ",")
      + (learners.isEmpty ? "" : " learning \(learners)")
  }

  static func effect(_ effect: Effect) -> String {
    switch effect {
    case .send(let message): "to \(message.to.rawValue): \(body(message))"
    case .recordVote(let vote): "record the vote in \(vote.epoch.rawValue) for \(vote.candidate)"
    case .truncate(let place): "truncate to \(position(place))"
    case .write(let all, let from): "write\(entries(all)) from \(from.rawValue)"
    case .beginEpoch(let epoch): "begin epoch \(epoch.rawValue)"
    case .reset(let request): "reset to \(position(request.start))"
    case .replicate(let peer, let after, _):
      "replicate to \(peer.rawValue) after \(position(after))"
    case .sendReset(let peer, let start): "send a reset to \(peer.rawValue), \(position(start))"
    case .committed(let place): "committed \(position(place))"
    case .advanceStart(let offset): "advance the start to \(offset.rawValue)"
    case .elected(let epoch): "elected in \(epoch.rawValue)"
    case .ready(let epoch): "ready in \(epoch.rawValue)"
    case .leaderChanged(let leader, let epoch):
      "leader of \(epoch.rawValue) is \(leader.map { "\($0.rawValue)" } ?? "nobody")"
    case .answerRead(let token, let offset):
      "answer read \(token): \(offset.map { "\($0.rawValue)" } ?? "not here")"
    case .damaged(let why): "DAMAGED: \(why)"
    }
  }

  private static func entries(_ entries: [Entry]) -> String {
    entries.map { entry in
      entry.bytes.isEmpty
        ? " start \(position(entry.position))"
        : " \(entry.bytes.count / 8) up to \(position(entry.position))"
    }.joined(separator: ",")
  }

  static func body(_ message: Message) -> String {
    "[\(message.epoch.rawValue)] " + body(message.body)
  }

  private static func body(_ body: Message.Body) -> String {
    switch body {
    case .voteRequest(let request):
      "\(request.kind) for \(request.proposed.rawValue), log \(position(request.end))"
    case .voteResponse(let response):
      (response.isGranted ? "yes" : "no") + (response.isPreVote ? " (pre-vote)" : "")
        + " for \(response.proposed.rawValue)"
    case .append(let request):
      "append after \(position(request.previous))\(entries(request.entries)), committed "
        + position(request.committed)
    case .appended(.accepted(let place, let all)):
      place == all ? "have \(position(place))" : "have \(position(place)), soon \(position(all))"
    case .appended(.rejected(let previous, let hint)):
      "have not \(position(previous)), at most \(position(hint))"
    case .heartbeat(let beat):
      "heartbeat, committed \(position(beat.committed)), context \(beat.context)"
        + (beat.isQuiet ? ", quiet" : "")
    case .heartbeatAnswer(let context, let isQuiet):
      (isQuiet ? "quiet" : "alive") + ", context \(context)"
    case .reset(let request): "reset to \(position(request.start))"
    case .takeOver: "take over"
    case .resigned: "resigned"
    }
  }
}
