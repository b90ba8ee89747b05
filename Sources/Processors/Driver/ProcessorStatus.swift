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
  /// The newest window that changed.
  package internal(set) var newestWindow: WindowTotal?
  /// What changed last, the newest last.
  package internal(set) var highlights: [String] = []
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
    for time in effects.sourceTimes { latency.add(max(0, microseconds &- time)) }
    if let window = effects.newestWindow,
      newestWindow.map({ $0.start <= window.start }) ?? true
    {
      newestWindow = window
    }
    highlights = Array((highlights + effects.highlights).suffix(Effects.highlightsMax))
  }
}
