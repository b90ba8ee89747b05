import Bytes

/// What consumers of a classic group tell each other through the coordinator: an int16 version,
/// then the message. To the broker it is a field of bytes.
package protocol ConsumerProtocolMessage: WireMessage {}

extension ConsumerProtocolMessage {
  /// Reads a newer version as the newest known one, as Kafka's clients do: versions only ever add
  /// fields at the end, and members of one group may be of different ages.
  package static func decode(embedded bytes: ArraySlice<UInt8>) throws(WireError) -> Self {
    let (version, body) = try splitPrefix(bytes)
    return try decode(body, version: min(version, versions.upperBound))
  }

  package func embedded(version: Int16) throws(WireError) -> [UInt8] {
    try encoded(prefix: version, version: version)
  }
}

/// The value of a record in `__consumer_offsets`: an int16 version, then the message.
package protocol GroupRecordValue: WireMessage {}

extension GroupRecordValue {
  package static func decode(value bytes: ArraySlice<UInt8>) throws(WireError) -> Self {
    let (version, body) = try splitPrefix(bytes)
    return try decode(body, version: version)
  }

  package func value(version: Int16) throws(WireError) -> [UInt8] {
    try encoded(prefix: version, version: version)
  }
}

/// The key of a record in `__consumer_offsets`: an int16 type, then the key's version 0.
package enum GroupRecordKey: Equatable, Sendable {
  case offsetCommit(OffsetCommitKey)
  case groupMetadata(GroupMetadataKey)
  /// Written by a newer program, or of no use to us: passed over.
  case unknown(type: Int16)

  package static func decode(_ bytes: ArraySlice<UInt8>) throws(WireError) -> GroupRecordKey {
    let (type, body) = try splitPrefix(bytes)
    return switch type {
    case 1: .offsetCommit(try OffsetCommitKey.decode(body, version: 0))
    case 2: .groupMetadata(try GroupMetadataKey.decode(body, version: 0))
    default: .unknown(type: type)
    }
  }

  /// Nil for a key that is unknown.
  package func encoded() throws(WireError) -> [UInt8]? {
    switch self {
    case .offsetCommit(let key): try key.encoded(prefix: 1, version: 0)
    case .groupMetadata(let key): try key.encoded(prefix: 2, version: 0)
    case .unknown: nil
    }
  }
}

private func splitPrefix(
  _ bytes: ArraySlice<UInt8>
) throws(WireError) -> (prefix: Int16, rest: ArraySlice<UInt8>) {
  var reader = ByteReader(bytes)
  do throws(ByteError) {
    return (try reader.int16(), bytes.dropFirst(2))
  } catch { throw .malformed(error) }
}
