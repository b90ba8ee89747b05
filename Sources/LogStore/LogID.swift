/// Names a log in its store, for ever: an id is never used again, also not after the log is
/// deleted.
public struct LogID: RawRepresentable, Hashable, Comparable, Sendable {
  /// Counted up from one.
  public let rawValue: UInt64

  /// The id with this number.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// Older first.
  public static func < (a: LogID, b: LogID) -> Bool { a.rawValue < b.rawValue }
}

extension LogID: CustomStringConvertible {
  /// Sixteen hexadecimal digits, the name of the log's directory.
  public var description: String {
    let digits = String(rawValue, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
