package import Bytes
internal import Records

/// TEMPORARY until the real one is merged.
extension LogStore {
  package func producerSnapshot(of log: LogID) throws(LogError) -> (bytes: [UInt8], through: Offset) { throw .unknownLog }
  package func reset(_ log: LogID, to: LogPosition, history: EpochHistory, producers: ArraySlice<UInt8>, producersThrough: Offset) throws(LogError) { throw .unknownLog }
}
