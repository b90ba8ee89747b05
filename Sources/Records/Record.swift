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
package struct RecordHeader: Hashable, Sendable {
  /// UTF-8 by agreement, which nobody on the way checks; so the bytes are kept as they came.
  package var keyBytes: ArraySlice<UInt8>
  package var value: ArraySlice<UInt8>?

  package init(keyBytes: ArraySlice<UInt8>, value: ArraySlice<UInt8>?) {
    self.keyBytes = keyBytes
    self.value = value
  }

  package init(key: String, value: ArraySlice<UInt8>?) {
    self.init(keyBytes: Array(key.utf8)[...], value: value)
  }

  /// The key as text, with U+FFFD for what is not UTF-8, as Kafka's clients show it.
  package var key: String { String(decoding: keyBytes, as: UTF8.self) }
}
