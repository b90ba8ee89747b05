internal import KafkaWire

/// A partition as a fetch names it: by topic name before v13, by topic id from then on.
struct FetchKey: Hashable, Sendable {
  var topic: String
  var topicID: UUID16
  var partition: Int32
}

/// A partition of a fetch: what is asked, and what was answered last.
struct FetchedPartition: Sendable {
  var key: FetchKey
  var request: FetchRequest.Partition
  /// As of the last answer; nil before the first.
  var highWatermark: Int64?
  var logStart: Int64?
}

/// A client's fetch session (KIP-227): what it fetches is kept here, and it says only what changed.
struct FetchSession: Sendable {
  var id: Int32
  /// Of the next request.
  var epoch: Int32
  /// In the order in which they are answered: those that had records last come last.
  var partitions: [FetchedPartition]
  var lastUsed: Int64
}

/// All sessions of a node. Bounded in their number and in the partitions of all together: a new one
/// takes the place of those that were used longest ago, if they were not used for
/// `idleMilliseconds`; otherwise the client goes without. A session that grows beyond the bounds
/// ends, and its client begins anew.
struct FetchSessions: Sendable {
  static let partitionsMax = 10_000
  /// Of all sessions together: some 200 bytes each.
  static let cachedPartitionsMax = 200_000
  static let idleMilliseconds: Int64 = 120_000

  enum Context {
    /// No session: every partition is in the request and in the answer.
    case sessionless
    /// A new session, whose answer names everything.
    case full(id: Int32)
    case incremental(id: Int32)
  }

  /// Sessions at most.
  let sessionsMax: Int
  private var sessions: [Int32: FetchSession] = [:]
  /// Partitions of all sessions.
  private(set) var cachedPartitions = 0

  init(sessionsMax: Int) { self.sessionsMax = sessionsMax }

  var count: Int { sessions.count }

  /// Takes a request in. The result says which partitions it is about; `freshID` names a new
  /// session and must not be zero.
  mutating func open(
    _ request: FetchRequest, freshID: Int32, now: Int64
  ) -> Result<(Context, [FetchedPartition]), SessionError> {
    let asked = Self.partitions(of: request)
    if request.sessionEpoch == -1 {
      remove(request.sessionId)
      return .success((.sessionless, asked))
    }
    if request.sessionEpoch == 0 {
      remove(request.sessionId)
      guard !asked.isEmpty, asked.count <= Self.partitionsMax, sessions[freshID] == nil,
        makeRoom(for: asked.count, now)
      else { return .success((.sessionless, asked)) }
      cachedPartitions += asked.count
      sessions[freshID] = FetchSession(id: freshID, epoch: 1, partitions: asked, lastUsed: now)
      return .success((.full(id: freshID), asked))
    }
    guard var session = sessions[request.sessionId] else {
      return .failure(.init(code: .fetchSessionIdNotFound))
    }
    guard session.epoch == request.sessionEpoch else {
      return .failure(.init(code: .invalidFetchSessionEpoch))
    }
    session.epoch = session.epoch == .max ? 1 : session.epoch + 1
    session.lastUsed = now
    let before = session.partitions.count
    session.update(asked, forgotten: request.forgottenTopicsData)
    let growth = session.partitions.count - before
    guard session.partitions.count <= Self.partitionsMax,
      cachedPartitions + growth <= Self.cachedPartitionsMax
    else {
      remove(session.id)
      return .failure(.init(code: .fetchSessionIdNotFound))
    }
    cachedPartitions += growth
    sessions[session.id] = session
    return .success((.incremental(id: session.id), session.partitions))
  }

  /// What was answered, for the next request to be compared with. Partitions that had records go to
  /// the end, so that each has its turn when the client's limit is small.
  mutating func answered(_ id: Int32, _ partitions: [(FetchedPartition, hadRecords: Bool)]) {
    guard sessions[id] != nil else { return }
    sessions[id]?.partitions =
      partitions.filter { !$0.hadRecords }.map(\.0) + partitions.filter(\.hadRecords).map(\.0)
  }

  private mutating func makeRoom(for count: Int, _ now: Int64) -> Bool {
    while sessions.count >= sessionsMax
      || cachedPartitions + count > Self.cachedPartitionsMax
    {
      guard let oldest = sessions.values.min(by: { ($0.lastUsed, $0.id) < ($1.lastUsed, $1.id) }),
        now - oldest.lastUsed >= Self.idleMilliseconds
      else { return false }
      remove(oldest.id)
    }
    return true
  }

  private mutating func remove(_ id: Int32) {
    guard let session = sessions.removeValue(forKey: id) else { return }
    cachedPartitions -= session.partitions.count
  }

  private static func partitions(of request: FetchRequest) -> [FetchedPartition] {
    request.topics.flatMap { topic in
      topic.partitions.map { partition in
        FetchedPartition(
          key: FetchKey(
            topic: topic.topic, topicID: topic.topicId, partition: partition.partition),
          request: partition)
      }
    }
  }

  struct SessionError: Error {
    var code: ErrorCode
  }
}

extension FetchSession {
  fileprivate mutating func update(
    _ asked: [FetchedPartition], forgotten: [FetchRequest.ForgottenTopic]
  ) {
    if !forgotten.isEmpty {
      // Membership only.
      let gone = Set(
        forgotten.flatMap { topic in
          topic.partitions.map {
            FetchKey(topic: topic.topic, topicID: topic.topicId, partition: $0)
          }
        })
      partitions.removeAll { gone.contains($0.key) }
    }
    guard !asked.isEmpty else { return }
    var places: [FetchKey: Int] = [:]
    for (index, partition) in partitions.enumerated() { places[partition.key] = index }
    for partition in asked {
      if let place = places[partition.key] {
        partitions[place].request = partition.request
      } else {
        places[partition.key] = partitions.count
        partitions.append(partition)
      }
    }
  }
}
