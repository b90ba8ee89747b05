internal import Bytes

/// A batch's records as the bytes of one column.
///
/// | what | size |
/// |---|---|
/// | version, 2 | 1 |
/// | count | 4 |
/// | of each: timestamp | 8 |
/// | partition (-1: not chosen) | 4 |
/// | floor (-1: none; not in version 1) | 8 |
/// | topic, key, value: length (-1: null) and bytes | 4 + n, three times |
/// | count of headers; of each name and value as above | 4 |
enum OutboxFormat {
  static func encode(_ records: [OutboxRecord]) -> [UInt8] {
    var bytes: [UInt8] = [2]
    func put(_ value: some FixedWidthInteger) {
      unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }
    func put(_ field: [UInt8]?) {
      put(Int32(field?.count ?? -1))
      bytes += field ?? []
    }
    put(Int32(records.count))
    for record in records {
      put(record.timestamp)
      put(record.partition ?? -1)
      put(record.floor ?? -1)
      put(Array(record.topic.utf8))
      put(record.key)
      put(record.value)
      put(Int32(record.headers.count))
      for header in record.headers {
        put(Array(header.name.utf8))
        put(header.value)
      }
    }
    return bytes
  }

  /// No bytes are no records: a processor that has just begun.
  static func decode(_ bytes: [UInt8]) throws(ByteError) -> [OutboxRecord] {
    guard !bytes.isEmpty else { return [] }
    var reader = ByteReader(bytes)
    let version = try reader.uint8()
    guard version == 1 || version == 2 else { throw .truncated(at: 0, needed: 1) }
    var records: [OutboxRecord] = []
    for _ in 0..<max(0, try reader.int32()) {
      let timestamp = try reader.int64()
      let partition = try reader.int32()
      let floor = version == 1 ? -1 : try reader.int64()
      let topic = try string(&reader)
      let key = try field(&reader)
      let value = try field(&reader)
      var headers: [OutboxRecord.Header] = []
      for _ in 0..<max(0, try reader.int32()) {
        let name = try string(&reader)
        headers.append(.init(name, try field(&reader) ?? []))
      }
      var record = OutboxRecord(
        topic: topic, key: key, value: value, headers: headers, timestamp: timestamp)
      record.partition = partition < 0 ? nil : partition
      record.floor = floor < 0 ? nil : floor
      records.append(record)
    }
    return records
  }

  private static func field(_ reader: inout ByteReader) throws(ByteError) -> [UInt8]? {
    let count = Int(try reader.int32())
    return count == -1 ? nil : Array(try reader.slice(count))
  }

  private static func string(_ reader: inout ByteReader) throws(ByteError) -> String {
    String(decoding: try field(&reader) ?? [], as: UTF8.self)
  }
}
