internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// ListOffsets' special timestamps.
private enum SpecialTimestamp {
  static let latest: Int64 = -1
  static let earliest: Int64 = -2
  /// The record with the largest timestamp (KIP-734, v7).
  static let largest: Int64 = -3
  /// The earliest on this broker's disk (KIP-405, v8); without tiers the same as earliest.
  static let earliestLocal: Int64 = -4
  /// Tiers that there are none of (v9, v11).
  static let latestTiered: Int64 = -5
  static let earliestPendingUpload: Int64 = -6
}

/// A ListOffsets request on its way.
struct OffsetSearch {
  let request: Request
  var reads: Set<ReadAheadID> = []
  /// How often it has waited for reads that brought nothing. Memory may have gone to others before
  /// its turn came: the last time it reads on the loop.
  var readRounds = 0
  /// What was found, by the number of what was asked for.
  var found: [Int: ListOffsetsResponse.Partition] = [:]

  static let readRoundsMax = 4
  /// Blocks that one request has read at once.
  static let blocksMax = 24
}

extension Node {
  func listOffsets(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(ListOffsetsRequest.self)
    let logs = body.topics.flatMap { topic in
      topic.partitions.compactMap { asked in
        topics[topic.name]?.partition(asked.partitionIndex)?.log
      }
    }
    whenConfirmed(logs) { [unowned self] in begin(OffsetSearch(request: request)) }
  }

  private func begin(_ search: OffsetSearch) {
    do throws(WireError) {
      try listOffsets(search)
    } catch {
      let api = search.request.frame.api
      answer(search.request, .close("its \(api) request cannot be read: \(error)"))
    }
  }

  /// Everything that was acknowledged before the request counts: a search by time waits until what
  /// is committed has reached the files that it searches.
  private func listOffsets(_ search: OffsetSearch) throws(WireError) {
    let request = search.request
    let body = try request.frame.decode(ListOffsetsRequest.self)
    guard !mustWait(body) else {
      waitingForFiles.append(search)
      return
    }
    var search = search
    search.reads = []
    let before = search.found.count
    look(body, &search, mayWait: search.readRounds < OffsetSearch.readRoundsMax)
    if !search.reads.isEmpty {
      if search.found.count == before { search.readRounds += 1 }
      waitingForReads.append(search)
      return
    }
    // What is left waits for nothing that would come.
    look(body, &search, mayWait: false)
    var response = ListOffsetsResponse()
    var number = 0
    for topic in body.topics {
      var answered = ListOffsetsResponse.Topic()
      answered.name = topic.name
      for _ in topic.partitions {
        if let part = search.found[number] { answered.partitions.append(part) }
        number += 1
      }
      response.topics.append(answered)
    }
    reply(request, response)
  }

  /// Answers what can be answered from memory, and begins to read for the rest, if it may wait.
  private func look(_ body: ListOffsetsRequest, _ search: inout OffsetSearch, mayWait: Bool) {
    var number = -1
    for topic in body.topics {
      // A partition that is named twice gets no answer that could be taken for the other's.
      let counts = Dictionary(topic.partitions.map { ($0.partitionIndex, 1) }, uniquingKeysWith: +)
      for asked in topic.partitions {
        number += 1
        guard search.found[number] == nil else { continue }
        let blocksLeft = max(0, OffsetSearch.blocksMax - search.reads.count)
        if mayWait, let reads = readAhead(topic.name, asked, blocksLeft) {
          search.reads.formUnion(reads)
          continue
        }
        var part = ListOffsetsResponse.Partition()
        part.partitionIndex = asked.partitionIndex
        if counts[asked.partitionIndex] != 1 {
          part.errorCode = .invalidRequest
        } else {
          listOffset(topic.name, asked, search.request.version, &part)
          // The field came with version 4.
          if search.request.version < 4 { part.leaderEpoch = -1 }
        }
        search.found[number] = part
      }
    }
  }

  /// Begins to read what a search by time would look at and is in no memory. Nil if there is
  /// nothing to wait for.
  private func readAhead(
    _ topic: String, _ asked: ListOffsetsRequest.Partition, _ blocksMax: Int
  ) -> [ReadAheadID]? {
    guard asked.timestamp >= 0 || asked.timestamp == SpecialTimestamp.largest,
      let log = topics[topic]?.partition(asked.partitionIndex)?.log
    else { return nil }
    return try? store.readAhead(
      of: log, forFinding: asked.timestamp >= 0 ? Timestamp(asked.timestamp) : nil,
      blocksMax: blocksMax)
  }

  func wakeSearches(_ read: ReadAheadID) {
    for index in waitingForReads.indices { waitingForReads[index].reads.remove(read) }
    waitingForFiles += waitingForReads.filter(\.reads.isEmpty)
    waitingForReads.removeAll(where: \.reads.isEmpty)
  }

  /// The node ends: they are answered with what there is, in memory or not.
  func expireSearches() {
    waitingForFiles += waitingForReads.map { search in
      var search = search
      search.readRounds = OffsetSearch.readRoundsMax
      return search
    }
    waitingForReads = []
    advanceSearches()
  }

  private func mustWait(_ body: ListOffsetsRequest) -> Bool {
    body.topics.contains { topic in
      topic.partitions.contains { asked in
        guard case .here(let partition) = access(topic.name, asked.partitionIndex) else {
          return false
        }
        // Elected a moment ago: what is committed is not known yet.
        guard partition.isReady || plants(.serveBeforeReady) else { return true }
        let log = partition.log
        guard asked.timestamp >= 0 || asked.timestamp == SpecialTimestamp.largest,
          let bounds = try? store.bounds(of: log), (try? store.failure(of: log)) == .some(nil)
        else { return false }
        return bounds.readable < bounds.highWatermark && failure == nil && !store.isFullOfRecords
      }
    }
  }

  /// Files have caught up with what is committed, somewhere.
  func advanceSearches() {
    guard !waitingForFiles.isEmpty else { return }
    let waiting = waitingForFiles
    waitingForFiles = []
    for search in waiting { begin(search) }
  }

  private func listOffset(
    _ topic: String, _ asked: ListOffsetsRequest.Partition, _ version: Int16,
    _ part: inout ListOffsetsResponse.Partition
  ) {
    let partition: Partition
    switch access(topic, asked.partitionIndex) {
    case .here(let found): partition = found
    case .elsewhere:
      part.errorCode = .notLeaderOrFollower
      return
    case .unknown:
      part.errorCode = .unknownTopicOrPartition
      return
    }
    if let error = epochError(asked.currentLeaderEpoch, partition) {
      part.errorCode = error
      return
    }
    do throws(LogError) {
      let bounds = try store.bounds(of: partition.log)
      let minimum: Int16
      switch asked.timestamp {
      case SpecialTimestamp.largest: minimum = 7
      case SpecialTimestamp.earliestLocal: minimum = 8
      case SpecialTimestamp.latestTiered: minimum = 9
      case SpecialTimestamp.earliestPendingUpload: minimum = 11
      default: minimum = 0
      }
      guard version >= minimum else {
        part.errorCode = .unsupportedVersion
        return
      }
      switch asked.timestamp {
      case SpecialTimestamp.latest, SpecialTimestamp.largest:
        // Where it ended, and what its largest timestamp was, nobody knows any more.
        if bounds.isCutShort {
          part.errorCode = .kafkaStorageError
        } else if asked.timestamp == SpecialTimestamp.largest {
          part.set(try store.findLargestTimestamp(in: partition.log))
        } else {
          part.offset = bounds.highWatermark.rawValue
          part.leaderEpoch = partition.epoch.rawValue
        }
      case SpecialTimestamp.earliest, SpecialTimestamp.earliestLocal:
        part.offset = bounds.start.rawValue
        part.leaderEpoch =
          try store.epochs(of: partition.log).epoch(at: bounds.start)?.rawValue
          ?? partition.epoch.rawValue
      case SpecialTimestamp.latestTiered, SpecialTimestamp.earliestPendingUpload: break
      case ..<0: part.errorCode = .unsupportedVersion
      default:
        let found = try store.find(Timestamp(asked.timestamp), in: partition.log)
        if found == nil, bounds.isCutShort { part.errorCode = .kafkaStorageError }
        part.set(found)
      }
    } catch {
      tellUnreadable(partition.log, error)
      part.errorCode = errorCode(for: error)
    }
  }

  func offsetForLeaderEpoch(_ request: Request) throws(WireError) {
    let body = try request.frame.decode(OffsetForLeaderEpochRequest.self)
    var response = OffsetForLeaderEpochResponse()
    for topic in body.topics {
      var answered = OffsetForLeaderEpochResponse.Topic()
      answered.topic = topic.topic
      for asked in topic.partitions {
        var part = OffsetForLeaderEpochResponse.Partition()
        part.partition = asked.partition
        switch access(topic.topic, asked.partition) {
        case .unknown: part.errorCode = .unknownTopicOrPartition
        case .elsewhere: part.errorCode = .notLeaderOrFollower
        case .here(let partition):
          if let error = epochError(asked.currentLeaderEpoch, partition) {
            part.errorCode = error
          } else if isLost(LeaderEpoch(asked.leaderEpoch), partition.log) {
            part.errorCode = .kafkaStorageError
          } else if let bounds = try? store.bounds(of: partition.log),
            let epochs = try? store.epochs(of: partition.log),
            let end = epochs.end(of: LeaderEpoch(asked.leaderEpoch), logEnd: bounds.end)
          {
            part.leaderEpoch = end.epoch.rawValue
            part.endOffset = end.offset.rawValue
          }
        }
        answered.partitions.append(part)
      }
      response.topics.append(answered)
    }
    reply(request, response)
  }

  /// Whether the epoch's end is among what damage has taken: who asks would cut his position to it.
  private func isLost(_ epoch: LeaderEpoch, _ log: LogID) -> Bool {
    guard let bounds = try? store.bounds(of: log) else { return false }
    return bounds.isCutShort && epoch >= bounds.epoch
  }

  /// KIP-320: who knows another leader than this one has to look again.
  private func epochError(_ asked: Int32, _ partition: Partition) -> ErrorCode? {
    guard asked >= 0, asked != partition.epoch.rawValue else { return nil }
    return asked < partition.epoch.rawValue ? .fencedLeaderEpoch : .unknownLeaderEpoch
  }
}

extension ListOffsetsResponse.Partition {
  fileprivate mutating func set(_ found: TimestampedOffset?) {
    guard let found else { return }
    offset = found.offset.rawValue
    timestamp = found.timestamp.rawValue
    leaderEpoch = found.epoch.rawValue
  }
}
