package import Bytes

/// Why bytes are not a message, or a value cannot be one. Positions count from the first byte given
/// to the decoder.
package enum WireError: Error, Equatable, Sendable {
  /// The bytes end early, or a length, count, varint or string in them is impossible.
  case malformed(ByteError)
  /// A null where the version has none.
  case unexpectedNull(at: Int)
  /// A tagged field whose value is not as long as its size says.
  case tagSizeMismatch(at: Int, tag: UInt32)
  /// More array elements in one message than `WireDecoder.elementsMax`.
  case tooManyElements(at: Int)
  /// A key that is not in `APIKey`.
  case unknownAPI(Int16)
  /// A version outside the message's range.
  case unsupportedVersion(Int16)
  /// To be encoded: a field that says something, in a version that lacks it.
  case fieldNotInVersion(String, Int16)
  /// To be encoded: nil in a field that cannot be null in this version.
  case nullNotInVersion(String, Int16)
  /// To be encoded: a string longer than 32,767 bytes, the most that any version may carry.
  case stringTooLong(size: Int)
  /// A frame beyond its bound, or of negative size.
  case frameSize(Int)
}

extension WireError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .malformed(let error): error.description
    case .unexpectedNull(let at): "null at byte \(at), where a value is needed"
    case .tagSizeMismatch(let at, let tag): "tagged field \(tag) at byte \(at) belies its size"
    case .tooManyElements(let at):
      "at byte \(at) the message holds more than \(WireDecoder.elementsMax) elements"
    case .unknownAPI(let key): "API key \(key) is unknown"
    case .unsupportedVersion(let version): "version \(version) is unsupported"
    case .fieldNotInVersion(let field, let version):
      "\(field) has a value that version \(version) cannot carry"
    case .nullNotInVersion(let field, let version):
      "\(field) is nil, which version \(version) cannot carry"
    case .stringTooLong(let size): "a string of \(size) bytes is too long for the wire"
    case .frameSize(let size): "a frame of \(size) bytes is out of bounds"
    }
  }
}
