internal import Bytes
internal import KafkaWire
internal import LogStore

// What a transactional id's new producer may count on: that nobody takes records any more of the
// one before. Every leader refuses those from the moment at which it has applied the record of the
// metadata that fences them. So
//
// (1) who asks for a producer's identity is answered when no node leads that has not applied it,
//     nor can lead by what it was elected with before (`FenceInquiry`);
// (2) who is elected asks what is committed of the metadata, and takes records of idempotent
//     producers once it has applied that (`FenceKnowledge`): it may be elected later.

/// An answer to InitProducerId that waits for (1), at the node that leads the metadata.
struct FenceInquiry {
  let request: Request
  let response: InitProducerIdResponse
  /// The fence is in force where the metadata is applied below this.
  let applied: Offset
  /// Milliseconds of the steady clock.
  let deadline: Int64
  /// Nodes that have applied it, and who else, as far as they knew then, may lead a group that they
  /// are of.
  private(set) var confirmed: [Int32: [Int32]] = [:]

  init(_ request: Request, _ response: InitProducerIdResponse, applied: Offset, deadline: Int64) {
    self.request = request
    self.response = response
    self.applied = applied
    self.deadline = deadline
  }

  mutating func confirm(_ node: Int32, mayLead: [Int32]) { confirmed[node] = mayLead }

  /// No group, given by its voters, can have a leader that does not know the fence.
  ///
  /// A leader without it was elected before the fence was committed, or is to learn of it (2). Then
  /// a majority voted for it before, and one of them is in any majority that has confirmed: it
  /// names it, unless it knows of a later leader. Of a partition without copies nobody else can
  /// tell: where its node is out of reach it is for clients, too.
  func isInForce(groups: [[Int32]], isReachable: (Int32) -> Bool) -> Bool {
    let named = confirmed.values.joined()
    guard named.allSatisfy({ confirmed[$0] != nil }) else { return false }
    return groups.allSatisfy { voters in
      let known = voters.count { confirmed[$0] != nil }
      if known == 0, voters.count == 1 { return !isReachable(voters[0]) }
      return known * 2 > voters.count
    }
  }
}

/// Which of the logs that are led here may take records of idempotent producers: see (2).
struct FenceKnowledge {
  /// Logs by the moment from which on they are led.
  private var began: [LogID: UInt64] = [:]
  /// Asked, and not answered: what is committed of the metadata.
  private(set) var read: (token: UInt64, moment: UInt64, askedAt: Int64)?
  /// What is led since before the moment is settled when the metadata is applied below that.
  private var barriers: [(moment: UInt64, offset: Offset)] = []

  mutating func begin(_ log: LogID, moment: UInt64) { began[log] = moment }

  mutating func end(_ log: LogID) { began[log] = nil }

  /// Somebody is to be asked: what has been asked was before some of it was led.
  var wantsRead: Bool {
    guard read == nil else { return false }
    let newest = barriers.map(\.moment).max() ?? 0
    return began.values.contains { $0 > newest }
  }

  mutating func ask(token: UInt64, now: Int64) { read = (token, token, now) }

  /// Nobody answers: asks again.
  mutating func giveUp() { read = nil }

  /// False if it was not asked, or by somebody else.
  mutating func answered(_ token: UInt64, _ offset: Offset?) -> Bool {
    guard let read, read.token == token else { return false }
    self.read = nil
    if let offset { barriers.append((read.moment, offset)) }
    return true
  }

  /// The logs that are settled now, ascending.
  mutating func advance(applied: Offset) -> [LogID] {
    let passed = barriers.filter { $0.offset <= applied }.map(\.moment).max()
    guard let passed else { return [] }
    barriers.removeAll { $0.moment <= passed }
    let settled = began.filter { $0.value < passed }.keys.sorted()
    for log in settled { began[log] = nil }
    return settled
  }
}
