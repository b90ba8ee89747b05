package import Bytes
internal import Records

/// TEMPORARY until the real one is merged.
package struct ReplicaEntry: Sendable {
  package var epoch: LeaderEpoch
  package var end: Offset
  package var bytes: ArraySlice<UInt8>
  package var position: LogPosition { LogPosition(epoch: epoch, offset: end) }
}
package enum ReplicaEntries {
  case waiting([ReadAheadID])
  case entries([ReplicaEntry])
}
extension LogStore {
  package func entries(of log: LogID, after: LogPosition, bytesMax: Int, mayWait: Bool) throws(LogError) -> ReplicaEntries {
    throw .unknownLog
  }
  package func producerSnapshot(of log: LogID) throws(LogError) -> (bytes: [UInt8], through: Offset) { throw .unknownLog }
  package func reset(_ log: LogID, to: LogPosition, history: EpochHistory, producers: ArraySlice<UInt8>, producersThrough: Offset) throws(LogError) { throw .unknownLog }
}
