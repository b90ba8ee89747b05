package import Platform

/// How a processor does, for metrics and for people.
package struct ProcessorStatus: Sendable {
  package enum Phase: Hashable, Sendable {
    case starting, running
    /// Something outside is not there; it goes on by itself.
    case waiting(String)
    /// It has stopped; a person is asked to do something.
    case failed(String)
    case stopped
  }

  package internal(set) var phase = Phase.starting
  /// Since the start of this process.
  package internal(set) var counts = Effects.Counts()
  package internal(set) var batches: UInt64 = 0
  /// Number of the last committed batch.
  package internal(set) var sequence: Int64 = 0
  /// By partition of the source, in its order.
  package internal(set) var progress: [SourceProgress] = []
  /// From the source's commit to the commit of the results; snapshots are not in it.
  package internal(set) var latency = LatencySketch()
  /// The same, in buckets.
  package internal(set) var latencies = LatencyHistogram()
  package internal(set) var lastLatencyMicroseconds: Int64 = 0
  /// Changes of the tables, and records of results and dead letters, that were committed.
  package internal(set) var tableChanges: UInt64 = 0
  package internal(set) var recordsOut: UInt64 = 0
  /// Where the source's partitions ended at the last look.
  package internal(set) var sourceEnds: [Int32: Int64] = [:]
  /// Times it began; each after the first because the log was lost.
  package internal(set) var attempts: UInt64 = 0
  /// Why it waited or failed last.
  package internal(set) var lastError: String?

  /// Records of the source that are not processed, by partition, in their order.
  package var lag: [(partition: Int32, records: Int64)] {
    sourceEnds.sorted { $0.key < $1.key }.map { partition, end in
      let next = progress.first { $0.partition == partition }?.nextOffset ?? 0
      return (partition, max(0, end - next))
    }
  }
  /// The newest window that changed.
  package internal(set) var newestWindow: WindowTotal?
  /// What changed last, the newest last.
  package internal(set) var highlights: [String] = []
  /// Rows of a truncated table are being taken back.
  package internal(set) var isSweeping = false
  /// Entries and bytes of cached state.
  package internal(set) var cachedEntries = 0
  package internal(set) var cachedBytes = 0

  package init() {}

  mutating func committed(_ effects: Effects, sequence: Int64, at microseconds: Int64) {
    counts += effects.counts
    batches += 1
    self.sequence = sequence
    for part in effects.progress {
      if let index = progress.firstIndex(where: { $0.partition >= part.partition }) {
        if progress[index].partition == part.partition {
          progress[index] = part
        } else {
          progress.insert(part, at: index)
        }
      } else {
        progress.append(part)
      }
    }
    for time in effects.sourceTimes {
      lastLatencyMicroseconds = max(0, microseconds &- time)
      latency.add(lastLatencyMicroseconds)
      latencies.add(lastLatencyMicroseconds)
    }
    tableChanges += UInt64(effects.tables.count)
    recordsOut += UInt64(effects.outbox.count)
    if let window = effects.newestWindow,
      newestWindow.map({ $0.start <= window.start }) ?? true
    {
      newestWindow = window
    }
    highlights = Array((highlights + effects.highlights).suffix(Effects.highlightsMax))
  }
}
