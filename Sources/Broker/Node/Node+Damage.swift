internal import Bytes
internal import LogStore

/// What people are told of logs that are damaged, or whose disk failed.
extension Node {
  /// A log that takes no more records.
  struct FailedLog {
    var log: LogID
    var topic: String
    var partition: Int32
    var why: String

    var text: String { "topic '\(topic)', partition \(partition): \(why)" }
  }

  /// Those that have failed, by topic and partition. A log without a topic has its name's place.
  var failedLogs: [FailedLog] {
    let failed = store.logIDs.compactMap { log -> (LogID, String)? in
      (try? store.failure(of: log)).flatMap { $0 }.map { (log, $0) }
    }
    guard !failed.isEmpty else { return [] }
    let places = partitionsByLog
    return failed.map { log, why in
      let place = places[log] ?? ((try? store.name(of: log)) ?? "\(log)", 0)
      return FailedLog(log: log, topic: place.topic, partition: place.partition, why: why)
    }.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
  }

  private var partitionsByLog: [LogID: (topic: String, partition: Int32)] {
    var places: [LogID: (topic: String, partition: Int32)] = [:]
    for (name, topic) in topics {
      for (index, partition) in topic.partitions.enumerated() {
        if let partition { places[partition.log] = (name, Int32(index)) }
      }
    }
    return places
  }

  /// One sentence, if there are any.
  var failedLogsText: String? {
    let failed = failedLogs
    guard let first = failed.first else { return nil }
    let count = failed.count == 1 ? "1 log has" : "\(failed.count) logs have"
    return "\(count) failed and no more records are taken there; the first is \(first.text)"
  }

  func addFailedLogs(_ text: inout MetricsText) {
    text.family("martlet_log_failed", "gauge", "1 for a partition that takes no more records.")
    for log in failedLogs {
      text.sample(
        "martlet_log_failed", [("topic", log.topic), ("partition", "\(log.partition)")], "1")
    }
  }

  /// All that have failed and were not told of: a line each.
  func tellFailures() {
    for failed in failedLogs { tell(failed) }
  }

  func tellFailure(of log: LogID) {
    guard !failuresTold.contains(log) else { return }
    for failed in failedLogs where failed.log == log { tell(failed) }
  }

  private func tell(_ failed: FailedLog) {
    guard failuresTold.insert(failed.log).inserted else { return }
    if let replica = replicas[failed.log], !isSole(replica) {
      tell(
        "a log of this node has failed: \(failed.text); it is set aside in quarantine, and copied "
          + "from the other nodes")
      return
    }
    var lost = ""
    if let bounds = try? store.bounds(of: failed.log), bounds.isCutShort {
      lost = "what was acknowledged from offset \(bounds.end.rawValue) on is missing, and "
    }
    tell(
      "a log has failed and takes no more records: \(failed.text); \(lost)what is whole is still "
        + "read; restore the data directory from a backup, or copy what can be read to another "
        + "topic and delete this one")
  }

  /// The first time that a log cannot be read although it has not failed.
  func tellUnreadable(_ log: LogID, _ error: LogError) {
    guard case .disk(let why) = error, (try? store.failure(of: log)) == .some(nil),
      unreadableTold.insert(log).inserted
    else { return }
    let place = partitionsByLog[log] ?? ("\(log)", 0)
    tell(
      "topic '\(place.topic)', partition \(place.partition), cannot be read: \(why); its clients "
        + "are told KAFKA_STORAGE_ERROR; check the disk")
  }
}
