package import Bytes
internal import Records

/// Which records may go (KIP: none; Kafka's retention.ms, retention.bytes and DeleteRecords).
extension LogStore {
  /// Where the log would begin if its retention were applied now: at the base of a segment, never
  /// above the high watermark. The open segment stays.
  package func retentionStart(of log: LogID, now: Int64) throws(LogError) -> Offset {
    let slot = try slot(of: log)
    return withLog(slot) { log in
      var start = log.logStart
      var size = log.segments.reduce(0) { $0 + $1.size }
      for (segment, next) in zip(log.segments, log.segments.dropFirst()) {
        guard next.base <= log.highWatermark else { break }
        let age = log.options.retentionMilliseconds
        // Records without a timestamp age from when they were appended.
        let newest =
          max(segment.maxTimestamp.rawValue, -1) >= 0
          ? segment.maxTimestamp.rawValue : segment.firstAppended ?? now
        let isOld = age.map { now - newest > $0 } ?? false
        let isOver = log.options.retentionBytes.map { size - segment.size >= $0 } ?? false
        guard isOld || isOver else { break }
        size -= segment.size
        start = max(start, next.base)
      }
      return start
    }
  }

  /// Applies the retention of these logs; for their leader, from time to time. Logs that are not
  /// there any more are passed over.
  package func enforceRetention(of logs: [LogID], now: Int64) throws(LogError) {
    for log in logs {
      guard let slot = slots[log] else { continue }
      let start = try retentionStart(of: log, now: now)
      guard withLog(slot, { $0.logStart < start }) else { continue }
      try advanceStart(log, to: start)
    }
  }

  /// Forgets idle producers (producer.id.expiration.ms).
  package func evictProducers(idleSince time: Int64) {
    for slot in logs.indices { withLog(slot) { $0.producers.evict(before: time) } }
  }
}
