/// Reads the records of one section, front to back, checking every field: the hot loop of produce
/// validation and of consuming.
///
/// It reads raw memory that outlives it (the caller holds a pointer to it for the cursor's whole
/// life), touches no reference count and allocates nothing, unless it throws. Small varints are the
/// rule, so one and two bytes are decoded in line.
@unsafe
struct RecordCursor {
  private let bytes: UnsafeRawBufferPointer
  private let lastOffsetDelta: Int32
  /// Of the next record.
  private(set) var index = 0
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer, lastOffsetDelta: Int32) {
    unsafe self.bytes = unsafe bytes
    unsafe self.lastOffsetDelta = lastOffsetDelta
  }

  @inline(__always)
  mutating func next() throws(RecordError) -> RecordFields {
    let length = unsafe try varint(before: bytes.count)
    guard length >= 0 else { throw unsafe fault(.negativeLength(length)) }
    guard unsafe length <= bytes.count &- position else { throw unsafe fault(.truncated) }
    let end = unsafe position &+ length

    // The attributes of a record are unused and not checked, by anybody.
    guard unsafe position < end else { throw unsafe fault(.truncated) }
    unsafe position &+= 1
    let timestampDelta = unsafe try varlong(before: end)
    let offsetDelta = unsafe Int32(truncatingIfNeeded: try varint(before: end))
    guard unsafe offsetDelta >= 0 && offsetDelta <= lastOffsetDelta else {
      throw unsafe fault(
        .offsetDeltaOutOfRange(offsetDelta, lastOffsetDelta: lastOffsetDelta))
    }
    let key = unsafe try nullableBytes(before: end)
    let value = unsafe try nullableBytes(before: end)
    let headersCount = unsafe try varint(before: end)
    let headersStart = unsafe position
    if headersCount != 0 { unsafe try skipHeaders(headersCount, before: end) }
    guard unsafe position == end else { throw unsafe fault(.unusedBytes(end &- position)) }
    unsafe index &+= 1
    return RecordFields(
      timestampDelta: timestampDelta, offsetDelta: offsetDelta, key: key, value: value,
      headersStart: headersStart, headersCount: Int32(truncatingIfNeeded: headersCount), end: end)
  }

  /// Throws unless the section ends here.
  func expectEnd() throws(RecordError) {
    let rest = unsafe bytes.count - position
    guard rest == 0 else { throw unsafe .bytesAfterLastRecord(at: position, count: rest) }
  }

  /// Calls `visit` with the key and the value of each header of a record that `next` has returned.
  static func forEachHeader(
    _ bytes: UnsafeRawBufferPointer, _ record: RecordFields,
    _ visit: (_ key: Range<Int>, _ value: Range<Int>?) throws(RecordError) -> Void
  ) throws(RecordError) {
    var cursor = unsafe RecordCursor(bytes, lastOffsetDelta: 0)
    unsafe cursor.position = record.headersStart
    for _ in 0..<record.headersCount {
      let key = unsafe try cursor.nullableBytes(before: record.end)
      let value = unsafe try cursor.nullableBytes(before: record.end)
      try visit(
        key.start..<key.start + max(0, key.length),
        value.length < 0 ? nil : value.start..<value.start + value.length)
    }
  }

  @inline(never)
  private mutating func skipHeaders(_ count: Int, before end: Int) throws(RecordError) {
    guard count > 0 else { throw unsafe fault(.negativeHeadersCount(count)) }
    guard unsafe count <= (end &- position) / RecordFormat.recordHeaderSizeMin else {
      throw unsafe fault(.headersCountExceedsRecord(count))
    }
    for _ in 0..<count {
      let key = unsafe try nullableBytes(before: end)
      guard key.length >= 0 else { throw unsafe fault(.negativeLength(key.length)) }
      _ = unsafe try nullableBytes(before: end)
    }
  }

  /// A length, -1 for null, and past that many bytes.
  @inline(__always)
  private mutating func nullableBytes(
    before end: Int
  ) throws(RecordError) -> (start: Int, length: Int) {
    let length = unsafe try varint(before: end)
    let start = unsafe position
    guard length > 0 else {
      guard length >= -1 else { throw unsafe fault(.negativeLength(length)) }
      return (start, length)
    }
    guard length <= end &- start else { throw unsafe fault(.truncated) }
    unsafe position = start &+ length
    return (start, length)
  }

  /// A 32-bit zigzag varint, widened.
  @inline(__always)
  private mutating func varint(before end: Int) throws(RecordError) -> Int {
    if let value = unsafe shortVarint(before: end) { return value }
    let value = unsafe try leb128(before: end, bytesMax: 5)
    guard value <= UInt64(UInt32.max) else { throw unsafe fault(.varintTooLong) }
    return Int(truncatingIfNeeded: value &>> 1) ^ -Int(truncatingIfNeeded: value & 1)
  }

  /// A 64-bit zigzag varint.
  @inline(__always)
  private mutating func varlong(before end: Int) throws(RecordError) -> Int64 {
    if let value = unsafe shortVarint(before: end) { return Int64(value) }
    let value = unsafe try leb128(before: end, bytesMax: 10)
    return Int64(bitPattern: value &>> 1) ^ -Int64(bitPattern: value & 1)
  }

  /// A zigzag varint of one byte or two, or nil, having read nothing.
  @inline(__always)
  private mutating func shortVarint(before end: Int) -> Int? {
    guard unsafe position < end else { return nil }
    let first = unsafe Int(bytes[position])
    if first < 0x80 {
      unsafe position &+= 1
      return (first &>> 1) ^ -(first & 1)
    }
    guard unsafe position &+ 1 < end else { return nil }
    let second = unsafe Int(bytes[position &+ 1])
    guard second < 0x80 else { return nil }
    unsafe position &+= 2
    let value = (first & 0x7f) | (second &<< 7)
    return (value &>> 1) ^ -(value & 1)
  }

  @inline(never)
  private mutating func leb128(before end: Int, bytesMax: Int) throws(RecordError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<bytesMax {
      guard unsafe position < end else { throw unsafe fault(.truncated) }
      let byte = unsafe bytes[position]
      unsafe position &+= 1
      // The tenth byte may carry only the 64th bit.
      guard index < 9 || byte <= 1 else { throw unsafe fault(.varintTooLong) }
      value |= UInt64(byte & 0x7f) &<< UInt64(7 * index)
      if byte & 0x80 == 0 { return value }
    }
    throw unsafe fault(.varintTooLong)
  }

  @inline(never)
  private func fault(_ fault: RecordFault) -> RecordError {
    unsafe .malformedRecord(index: index, at: position, fault)
  }
}
