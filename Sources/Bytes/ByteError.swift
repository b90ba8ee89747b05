/// What is wrong with bytes that came from outside. Positions count from the start of the storage
/// that was being read.
public enum ByteError: Error, Equatable, Sendable {
  /// `needed` more bytes were to be read at `at`, and there are not that many.
  case truncated(at: Int, needed: Int)
  /// A varint runs past its longest form or past the width it is read into.
  case varintTooLong(at: Int)
  /// A length or count that may not be negative is.
  case negativeLength(at: Int, length: Int)
  /// A count says more elements than the remaining bytes could hold.
  case countExceedsInput(at: Int, count: Int)
  /// The bytes of a string are not UTF-8.
  case notUTF8(at: Int)
  /// The value is none that may stand there.
  case unexpected(at: Int, value: Int64)
}

extension ByteError: CustomStringConvertible {
  /// The failure and where, in a few words.
  public var description: String {
    switch self {
    case .truncated(let at, let needed): "input ends at byte \(at), where \(needed) more are needed"
    case .varintTooLong(let at): "varint at byte \(at) is longer than its type allows"
    case .negativeLength(let at, let length): "length \(length) at byte \(at) is negative"
    case .countExceedsInput(let at, let count):
      "count \(count) at byte \(at) is larger than the rest of the input"
    case .notUTF8(let at): "string at byte \(at) is not UTF-8"
    case .unexpected(let at, let value): "the value \(value) may not stand at byte \(at)"
    }
  }
}
