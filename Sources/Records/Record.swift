package import Bytes

/// One record, with its own place and time. Key, value and headers share the batch's storage (or
/// that of its decompressed section), so a record copies nothing and keeps all of that alive.
package struct Record: Hashable, Sendable {
  package var offset: Offset
  package var timestamp: Timestamp
  package var key: ArraySlice<UInt8>?
  /// Null is a tombstone on a compacted topic.
  package var value: ArraySlice<UInt8>?
  /// In the order they were written; a key may occur more than once.
  package var headers: [RecordHeader]

  package init(
    offset: Offset, timestamp: Timestamp, key: ArraySlice<UInt8>?, value: ArraySlice<UInt8>?,
    headers: [RecordHeader] = []
  ) {
    self.offset = offset
    self.timestamp = timestamp
    self.key = key
    self.value = value
    self.headers = headers
  }
}

/// A name and a value that travel with a record.
///
/// Public, because a client's records carry it as it is.
public struct RecordHeader: Hashable, Sendable {
  /// UTF-8 by agreement, which nobody on the way checks; so the bytes are kept as they came.
  public var keyBytes: ArraySlice<UInt8>
  /// Any bytes; nil is a null.
  public var value: ArraySlice<UInt8>?

  /// A header whose name is given as bytes.
  public init(keyBytes: ArraySlice<UInt8>, value: ArraySlice<UInt8>?) {
    self.keyBytes = keyBytes
    self.value = value
  }

  /// A header by its name.
  public init(key: String, value: ArraySlice<UInt8>?) {
    self.init(keyBytes: Array(key.utf8)[...], value: value)
  }

  /// A header by its name, with the whole of an array.
  @_disfavoredOverload
  public init(key: String, value: [UInt8]?) {
    self.init(key: key, value: value.map { $0[...] })
  }

  /// The key as text, with U+FFFD for what is not UTF-8, as Kafka's clients show it.
  public var key: String { String(decoding: keyBytes, as: UTF8.self) }
}
