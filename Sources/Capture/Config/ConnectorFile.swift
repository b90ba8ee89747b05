internal import Glibc
internal import JSON

/// The two forms in which connectors are kept: Kafka Connect's JSON, `{"name": …, "config": {…}}`
/// or the bare configuration, and Java properties.
package enum ConnectorFile {
  private static let bytesMax = 1 << 20

  package static func read(path: String) throws(CaptureConfigError) -> CaptureConfig {
    func unreadable() -> CaptureConfigError {
      CaptureConfigError("\(path) cannot be read: \(unsafe String(cString: strerror(errno))).")
    }
    guard let file = unsafe fopen(path, "re") else { throw unreadable() }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: bytesMax)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    // A directory can be opened.
    guard unsafe ferror(file) == 0 else { throw unreadable() }
    guard count < bytesMax else { throw CaptureConfigError("\(path) is larger than a megabyte.") }
    return try parse(String(decoding: bytes[..<count], as: UTF8.self))
  }

  package static func parse(_ text: String) throws(CaptureConfigError) -> CaptureConfig {
    let begin = text.trimmingSpaces().first
    return begin == "{" ? try json(text) : try properties(text)
  }

  private static func json(_ text: String) throws(CaptureConfigError) -> CaptureConfig {
    let value: JSONValue
    do {
      value = try JSONValue(parsing: text)
    } catch {
      throw CaptureConfigError("The connector file is not JSON: \(error).")
    }
    guard case .object(let members) = value["config"] ?? value else {
      throw CaptureConfigError("The connector file has no object of properties.")
    }
    var properties: [String: String] = [:]
    for member in members {
      guard let text = member.value.property else {
        throw CaptureConfigError("\(member.name) is neither a text nor a number.")
      }
      properties[member.name] = text
    }
    return try CaptureConfig(properties: properties, fallbackName: value["name"]?.text)
  }

  private static func properties(_ text: String) throws(CaptureConfigError) -> CaptureConfig {
    var properties: [String: String] = [:]
    var continued = ""
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let line = continued + line.trimmingSpaces()
      continued = ""
      if line.isEmpty || line.hasPrefix("#") || line.hasPrefix("!") { continue }
      if line.hasSuffix("\\"), !line.hasSuffix("\\\\") {
        continued = String(line.dropLast())
        continue
      }
      guard let separator = line.firstIndex(where: { $0 == "=" || $0 == ":" }) else {
        throw CaptureConfigError("The line '\(line.prefix(40))' is not NAME=VALUE.")
      }
      let value = line[line.index(after: separator)...].trimmingSpaces()
      properties[line[..<separator].trimmingSpaces()] = unescaped(value)
    }
    return try CaptureConfig(properties: properties)
  }

  /// `\\` is a backslash, and a backslash before anything else disappears, as Java has it.
  private static func unescaped(_ text: String) -> String {
    var result = ""
    var isEscaped = false
    for character in text {
      if character == "\\", !isEscaped {
        isEscaped = true
      } else {
        result.append(character)
        isEscaped = false
      }
    }
    return result
  }
}
