internal import Bytes

/// What a leader knows of one peer.
struct Progress: Sendable {
  let peer: NodeID
  /// On its disk, and as here.
  var match: LogPosition?
  /// What it is sent next begins after this.
  var next: LogPosition
  /// One append at a time until it is known what it has.
  var isProbing = true
  /// The probe is on its way.
  var isPaused = false
  var isSending = false
  var isResetting = false
  /// Ends of what is on its way, with their bytes.
  var inFlight: [(end: LogPosition, bytes: Int)] = []
  var bytesInFlight = 0
  /// Since it said something that helps.
  var silentTicks = 0
  /// Heard of since majorities were last counted.
  var isActive = true
  var context: UInt64 = 0
  /// The membership it was last heard to have.
  var version: Int64 = -1
  /// It was quiet when it answered this.
  var quietContext: UInt64 = 0
  /// Where the leader's log ended when this round of catching up began (dissertation, 4.2.1), and
  /// since when that is. It has caught up if the last round took less than an election.
  var roundEnd: LogPosition
  var roundTicks = 0
  var isCaughtUp = false

  init(peer: NodeID, end: LogPosition) {
    self.peer = peer
    next = end
    roundEnd = end
  }

  mutating func probe(from position: LogPosition) {
    next = position
    isProbing = true
    isPaused = false
    isResetting = false
    inFlight = []
    bytesInFlight = 0
    silentTicks = 0
  }

  mutating func probeAgain() { probe(from: match ?? next) }

  mutating func noteSent(_ sent: Sent) {
    isSending = false
    guard sent.after == next, !isProbing, sent.through != sent.after else { return }
    next = sent.through
    inFlight.append((sent.through, sent.bytes))
    bytesInFlight += sent.bytes
  }

  /// It has what is `verified`, and what is `durable` of it on its disk.
  mutating func accepted(
    _ durable: LogPosition, _ verified: LogPosition, _ end: LogPosition, _ options: Raft.Options
  ) {
    isActive = true
    silentTicks = 0
    let match = max(match ?? durable, durable)
    self.match = match
    landed(match)
    if match >= roundEnd {
      isCaughtUp = roundTicks <= options.electionTicks
      roundEnd = end
      roundTicks = 0
    }
    if isProbing || isResetting {
      probe(from: verified)
      isProbing = false
      // Not on its disk yet, it may be lost and is waited for.
      if verified > match { inFlight.append((verified, 0)) }
    } else if next < match {
      next = match
    }
  }

  /// It has what is `verified`, which does not count: it has an older membership. It is asked again
  /// and again, for each time it is told what is committed.
  mutating func followed(_ verified: LogPosition) {
    isActive = true
    let isNew = verified > next
    guard isProbing || isNew else { return probe(from: verified) }
    probe(from: verified)
    isPaused = !isNew
  }

  /// It has not what is before `previous`; of what it has, no more than the guess is here.
  mutating func rejected(_ previous: LogPosition, _ guess: LogPosition) {
    isActive = true
    let isStale = match.map { previous <= $0 } ?? false
    guard isResetting || !isStale && (!isProbing || previous == next) else { return }
    probe(from: max(guess, match ?? guess))
  }

  private mutating func landed(_ position: LogPosition) {
    let count = inFlight.prefix { $0.end <= position }.count
    bytesInFlight -= inFlight[..<count].reduce(0) { $0 + $1.bytes }
    inFlight.removeFirst(count)
  }

  /// What was not answered for long is sent again.
  mutating func tick(_ options: Raft.Options) {
    roundTicks += 1
    if roundTicks > options.electionTicks, match != roundEnd { isCaughtUp = false }
    guard isPaused || isResetting || !inFlight.isEmpty else { return }
    silentTicks += 1
    guard silentTicks >= max(options.heartbeatTicks * 2, options.electionTicks / 2) else { return }
    probeAgain()
  }
}

/// What only a leader has.
struct Leadership: Sendable {
  /// Ascending by node.
  var peers: [Progress] = []
  var context: UInt64 = 0
  /// Wait until there is something to read.
  var waitingReads: [UInt64] = []
  /// Wait until a majority has answered the context.
  var reads: [(context: UInt64, token: UInt64, offset: Offset)] = []
  var transfer: (target: NodeID, ticks: Int, isAsked: Bool)?
  var heartbeatTicks = 0
  var quorumTicks = 0
  var isReady = false
  /// Since it had something to do.
  var idleTicks = 0
  /// Who is quiet since this was asked is not to be told anything more.
  var quietContext: UInt64?
  /// The membership under which a majority was last found to have all that is committed, and some
  /// of this epoch.
  var commitVersion: Int64?

  func index(of peer: NodeID) -> Int? { peers.firstIndex { $0.peer == peer } }
}
