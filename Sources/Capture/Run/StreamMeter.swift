internal import Platform

/// Counts what a stream does between two looks at its status, which are a lock each.
struct StreamMeter {
  private struct Chunk {
    var records: Int
    /// Microseconds since 2000, of the last commit that is whole in it; 0: none.
    var commitTime: Int64
  }

  var serverEnd = LSN(0)
  var confirmed = LSN(0)
  private var commitTime: Int64 = 0
  private var chunks: [UInt64: Chunk] = [:]
  private var made = 0
  private var durable = 0
  private var lags: [Int64] = []

  mutating func received(_ message: ReplicationMessage, _ walEnd: LSN) {
    serverEnd = max(serverEnd, walEnd)
    if case .commit(_, _, _, let time) = message { commitTime = time }
  }

  mutating func handedOver(_ chunk: UInt64, _ records: Int) {
    chunks[chunk] = Chunk(records: records, commitTime: records > 0 ? commitTime : 0)
    commitTime = 0
    made += records
  }

  mutating func acknowledged(_ chunk: UInt64, at milliseconds: Int64) {
    guard let chunk = chunks.removeValue(forKey: chunk) else { return }
    durable += chunk.records
    guard chunk.commitTime > 0 else { return }
    lags.append(max(0, milliseconds * 1000 - SourceInfo.postgresEpoch - chunk.commitTime))
  }

  mutating func publish(_ session: CaptureSession, to status: CaptureStatus) {
    let (made, durable, lags) = (made, durable, lags)
    let (serverEnd, confirmed) = (serverEnd, max(confirmed, session.recorded))
    status.update { values in
      values.isStreaming = true
      values.recordsMade += UInt64(made)
      values.recordsDurable += UInt64(durable)
      values.serverEnd = max(values.serverEnd, serverEnd)
      values.recorded = session.recorded
      values.confirmed = confirmed
      for lag in lags { values.lag.add(lag) }
      values.lastLagMicroseconds = lags.last ?? values.lastLagMicroseconds
    }
    self.made = 0
    self.durable = 0
    self.lags.removeAll(keepingCapacity: true)
  }
}
