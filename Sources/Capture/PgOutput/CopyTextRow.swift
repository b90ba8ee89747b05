/// What is wrong with a row of COPY text.
package enum CopyTextError: Error, Equatable, Sendable {
  case columnCount(expected: Int, found: Int)
  /// A backslash is the last byte of the row.
  case danglingEscape
}

extension CopyTextError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .columnCount(let expected, let found):
      "a row of COPY has \(found) columns where the table has \(expected)"
    case .danglingEscape: "a row of COPY ends in the middle of an escape"
    }
  }
}

/// Reads rows of `COPY … TO STDOUT` in text format into the columns that the stream has.
///
/// A row without escapes is not copied: its columns share its storage. Source: the Postgres manual,
/// COPY, "Text Format"; the escapes that only COPY FROM takes (octal, hexadecimal) are read too.
package struct CopyTextRow: Sendable {
  private static let backslash = UInt8(ascii: "\\")

  package init() {}

  /// `line`: one row, with or without its newline.
  package func decode(
    _ line: ArraySlice<UInt8>, columnCount: Int
  ) throws(CopyTextError) -> [TupleColumn] {
    var row = line
    if row.last == 0x0a { row = row.dropLast() }
    var columns: [TupleColumn] = []
    columns.reserveCapacity(columnCount)
    // No columns is an empty row; an empty row may also be one empty column.
    guard columnCount > 0 || !row.isEmpty else { return columns }
    if row.contains(Self.backslash) {
      try unescape(row, &columns)
    } else {
      var start = row.startIndex
      for index in row.indices where row[index] == 0x09 {
        columns.append(.text(row[start..<index]))
        start = index + 1
      }
      columns.append(.text(row[start...]))
    }
    guard columns.count == columnCount else {
      throw .columnCount(expected: columnCount, found: columns.count)
    }
    return columns
  }

  private func unescape(
    _ row: ArraySlice<UInt8>, _ columns: inout [TupleColumn]
  ) throws(CopyTextError) {
    // Escapes never grow, so the plain text fits in what the row takes.
    var plain: [UInt8] = []
    plain.reserveCapacity(row.count)
    // One past each column's last byte in `plain`; the complement for a null.
    var ends: [Int] = []
    var index = row.startIndex
    repeat {
      if let next = Self.indexAfterNull(row, at: index) {
        ends.append(~plain.count)
        index = next
      } else {
        while index < row.endIndex, row[index] != 0x09 {
          let byte = row[index]
          index += 1
          plain.append(byte == Self.backslash ? try escape(row, &index) : byte)
        }
        ends.append(plain.count)
      }
      // Past the delimiter, or past the end when there is none.
      index += 1
    } while index <= row.endIndex
    append(ends, plain, &columns)
  }

  /// The index behind a column that is exactly `\N`; nil when the column is anything else.
  private static func indexAfterNull(_ row: ArraySlice<UInt8>, at index: Int) -> Int? {
    guard row.endIndex - index >= 2, row[index] == backslash, row[index + 1] == 0x4e,
      index + 2 == row.endIndex || row[index + 2] == 0x09
    else { return nil }
    return index + 2
  }

  private func append(_ ends: [Int], _ plain: [UInt8], _ columns: inout [TupleColumn]) {
    var start = 0
    for end in ends {
      if end < 0 {
        columns.append(.null)
      } else {
        columns.append(.text(plain[start..<end]))
        start = end
      }
    }
  }

  /// The byte that the escape at `index` (behind its backslash) stands for.
  private func escape(
    _ row: ArraySlice<UInt8>, _ index: inout Int
  ) throws(CopyTextError) -> UInt8 {
    guard index < row.endIndex else { throw .danglingEscape }
    let byte = row[index]
    index += 1
    switch UnicodeScalar(byte) {
    case "b": return 0x08
    case "f": return 0x0c
    case "n": return 0x0a
    case "r": return 0x0d
    case "t": return 0x09
    case "v": return 0x0b
    case "0"..."7":
      var value = Int(byte - 0x30)
      for _ in 0..<2 {
        guard index < row.endIndex, (0x30...0x37).contains(row[index]) else { break }
        value = value << 3 | Int(row[index] - 0x30)
        index += 1
      }
      return UInt8(truncatingIfNeeded: value)
    case "x":
      guard index < row.endIndex, let high = Self.hexDigit(row[index]) else { return byte }
      index += 1
      guard index < row.endIndex, let low = Self.hexDigit(row[index]) else { return high }
      index += 1
      return high << 4 | low
    default: return byte
    }
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }
}
