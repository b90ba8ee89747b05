internal import CPCRE2

/// Why a pattern of a configuration cannot be used.
package struct PatternError: Error, Equatable, Sendable, CustomStringConvertible {
  package var description: String
}

/// A regular expression as users of Kafka Connect write it: Java's, which PCRE2 reads but for its
/// rarest forms. It matches a whole name or not at all.
///
/// A compiled pattern is only read; every match has its own working memory.
@safe
package final class Pattern: Sendable {
  package let text: String
  /// Freed by `deinit`, never changed.
  private nonisolated(unsafe) let code: OpaquePointer
  private let groupCount: Int

  package init(_ text: String, isCaseInsensitive: Bool = false) throws(PatternError) {
    var number: Int32 = 0
    var offset = 0
    let options = UInt32(PCRE2_UTF) | (isCaseInsensitive ? UInt32(PCRE2_CASELESS) : 0)
    let bytes = Array(text.utf8)
    let compiled = unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe pcre2_compile_8(buffer.baseAddress, buffer.count, options, &number, &offset, nil)
    }
    guard let compiled = unsafe compiled else {
      throw PatternError(
        description: "the pattern '\(text)' is not a regular expression: "
          + "\(Self.message(number)) at character \(offset + 1)")
    }
    self.text = text
    unsafe code = unsafe compiled
    var captures: UInt32 = 0
    let answer = unsafe pcre2_pattern_info_8(
      compiled, UInt32(PCRE2_INFO_CAPTURECOUNT), &captures)
    precondition(answer == 0, "a compiled pattern knows its groups")
    groupCount = Int(captures)
  }

  deinit {
    unsafe pcre2_code_free_8(code)
  }

  package func matches(_ subject: String) -> Bool {
    groups(subject) != nil
  }

  /// `template` with the groups of a match of the whole subject, as Java's `replaceFirst` does it:
  /// `$1`, `${name}`, and a backslash before what stands for itself. Nil: no match, or the template
  /// names a group that is not there.
  package func replacement(for subject: String, template: String) -> String? {
    guard let groups = groups(subject) else { return nil }
    var result = ""
    var rest = Substring(template)
    while let character = rest.popFirst() {
      switch character {
      case "\\":
        guard let next = rest.popFirst() else { return nil }
        result.append(next)
      case "$":
        guard let group = reference(&rest) else { return nil }
        result += groups[group] ?? ""
      default: result.append(character)
      }
    }
    return result
  }

  /// The number of the group that a template refers to behind its dollar sign.
  private func reference(_ rest: inout Substring) -> Int? {
    if rest.first == "{" {
      guard let end = rest.firstIndex(of: "}") else { return nil }
      let name = String(rest[rest.index(after: rest.startIndex)..<end])
      rest = rest[rest.index(after: end)...]
      let number = unsafe name.withCString { pointer in
        unsafe pointer.withMemoryRebound(to: UInt8.self, capacity: name.utf8.count + 1) {
          unsafe pcre2_substring_number_from_name_8(code, $0)
        }
      }
      return number > 0 ? Int(number) : nil
    }
    guard let first = rest.first, first.isASCII, var group = first.wholeNumberValue,
      group <= groupCount
    else { return nil }
    rest.removeFirst()
    // As many digits as still name a group.
    while let next = rest.first, next.isASCII, let digit = next.wholeNumberValue,
      group * 10 + digit <= groupCount
    {
      group = group * 10 + digit
      rest.removeFirst()
    }
    return group
  }

  /// The whole match and its groups; nil when the subject does not match, or when finding out would
  /// take more steps than PCRE2 allows.
  private func groups(_ subject: String) -> [String?]? {
    guard let match = unsafe pcre2_match_data_create_from_pattern_8(code, nil) else {
      preconditionFailure("no memory for a match")
    }
    defer { unsafe pcre2_match_data_free_8(match) }
    let bytes = Array(subject.utf8)
    let options = UInt32(PCRE2_ANCHORED) | UInt32(PCRE2_ENDANCHORED)
    let count = unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe pcre2_match_8(code, buffer.baseAddress, buffer.count, 0, options, match, nil)
    }
    guard count > 0, let ends = unsafe pcre2_get_ovector_pointer_8(match) else { return nil }
    return (0...groupCount).map { group in
      let (start, end) = unsafe (ends[group * 2], ends[group * 2 + 1])
      // A group that took no part has -1.
      guard start >= 0, start <= end, end <= bytes.count else { return nil }
      return String(decoding: bytes[start..<end], as: UTF8.self)
    }
  }

  private static func message(_ number: Int32) -> String {
    // Longer than PCRE2's longest message.
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = unsafe buffer.withUnsafeMutableBufferPointer {
      unsafe pcre2_get_error_message_8(number, $0.baseAddress, $0.count)
    }
    return count > 0 ? String(decoding: buffer[..<Int(count)], as: UTF8.self) : "error \(number)"
  }
}
