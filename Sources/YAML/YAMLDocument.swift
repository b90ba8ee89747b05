internal import CYAML
internal import Glibc

/// Reads YAML 1.1 with libyaml, for configuration: one document, whose keys are texts.
///
/// Bounded, so that no file can do harm: its size, its depth, its number of nodes. There are no
/// aliases, because ten of them in a row could stand for a billion nodes.
package enum YAMLDocument {
  package static let bytesMax = 1 << 20
  package static let depthMax = 32
  package static let nodesMax = 100_000

  /// Reads a file.
  package static func read(path: String) throws(YAMLError) -> YAMLNode {
    func unreadable() -> YAMLError {
      YAMLError(line: 0, "\(path) cannot be read: \(unsafe String(cString: strerror(errno))).")
    }
    guard let file = unsafe fopen(path, "re") else { throw unreadable() }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    // A directory can be opened.
    guard unsafe ferror(file) == 0 else { throw unreadable() }
    return try parse(Array(bytes[..<count]))
  }

  package static func parse(_ text: String) throws(YAMLError) -> YAMLNode {
    try parse(Array(text.utf8))
  }

  /// The only document in `bytes`; a null if there is nothing in them.
  package static func parse(_ bytes: [UInt8]) throws(YAMLError) -> YAMLNode {
    guard bytes.count <= bytesMax else {
      throw YAMLError(line: 0, "The document is larger than \(bytesMax) bytes.")
    }
    var events = try EventReader(bytes)
    return try events.document()
  }
}

/// libyaml's events, made into nodes.
@safe
private struct EventReader: ~Copyable {
  private enum Event: Equatable {
    case streamStart, streamEnd, documentStart, documentEnd
    case scalar(String?)
    case sequenceStart, sequenceEnd
    case mappingStart, mappingEnd
    case alias
  }

  private let parser: UnsafeMutablePointer<yaml_parser_t>
  /// The document; libyaml keeps a pointer to it.
  private let bytes: UnsafeMutableBufferPointer<UInt8>
  /// Of the last event.
  private var line = 0
  private var nodes = 0

  init(_ document: [UInt8]) throws(YAMLError) {
    unsafe parser = .allocate(capacity: 1)
    unsafe bytes = .allocate(capacity: document.count)
    _ = unsafe bytes.initialize(from: document)
    guard unsafe yaml_parser_initialize(parser) == 1 else {
      unsafe parser.deallocate()
      unsafe bytes.deallocate()
      throw YAMLError(line: 0, "There is no memory to read YAML with.")
    }
    unsafe yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
    unsafe bytes.deallocate()
  }

  mutating func document() throws(YAMLError) -> YAMLNode {
    _ = try next()  // the stream's start
    guard try next() == .documentStart else { return YAMLNode(.scalar(nil), line: 1) }
    let node = try node(try next(), depth: 0)
    _ = try next()  // the document's end
    guard try next() == .streamEnd else {
      throw YAMLError(line: line, "There is a second document; there may be one.")
    }
    return node
  }

  private mutating func node(_ event: Event, depth: Int) throws(YAMLError) -> YAMLNode {
    let line = line
    nodes += 1
    guard nodes <= YAMLDocument.nodesMax else {
      throw YAMLError(line: line, "There are more than \(YAMLDocument.nodesMax) values.")
    }
    guard depth < YAMLDocument.depthMax else {
      throw YAMLError(line: line, "It is nested deeper than \(YAMLDocument.depthMax) levels.")
    }
    switch event {
    case .scalar(let text): return YAMLNode(.scalar(text), line: line)
    case .sequenceStart:
      var items: [YAMLNode] = []
      while true {
        let event = try next()
        if event == .sequenceEnd { return YAMLNode(.sequence(items), line: line) }
        items.append(try node(event, depth: depth + 1))
      }
    case .mappingStart: return YAMLNode(.mapping(try entries(depth)), line: line)
    case .alias:
      throw YAMLError(line: line, "Aliases (*name) are not understood here; write it out.")
    default: throw YAMLError(line: line, "A value is missing.")
    }
  }

  private mutating func entries(_ depth: Int) throws(YAMLError) -> [YAMLNode.Entry] {
    var entries: [YAMLNode.Entry] = []
    // Membership only.
    var keys: Set<String> = []
    while true {
      let event = try next()
      if event == .mappingEnd { return entries }
      let line = line
      guard case .scalar(let key?) = event else {
        throw YAMLError(line: line, "A key is a text.")
      }
      guard keys.insert(key).inserted else {
        throw YAMLError(line: line, "The key '\(key)' is there twice.")
      }
      let value = try node(try next(), depth: depth + 1)
      entries.append(YAMLNode.Entry(key: key, line: line, value: value))
    }
  }

  private mutating func next() throws(YAMLError) -> Event {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else {
      let line = unsafe Int(parser.pointee.problem_mark.line) + 1
      let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) }
      throw YAMLError(line: line, "This is not YAML: \(problem ?? "it cannot be read").")
    }
    defer { unsafe yaml_event_delete(&event) }
    line = unsafe Int(event.start_mark.line) + 1
    switch unsafe event.type {
    case YAML_STREAM_START_EVENT: return .streamStart
    case YAML_STREAM_END_EVENT, YAML_NO_EVENT: return .streamEnd
    case YAML_DOCUMENT_START_EVENT: return .documentStart
    case YAML_DOCUMENT_END_EVENT: return .documentEnd
    case YAML_ALIAS_EVENT: return .alias
    case YAML_SCALAR_EVENT: return unsafe .scalar(Self.text(event.data.scalar))
    case YAML_SEQUENCE_START_EVENT: return .sequenceStart
    case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
    case YAML_MAPPING_START_EVENT: return .mappingStart
    case YAML_MAPPING_END_EVENT: return .mappingEnd
    default: throw YAMLError(line: line, "This is not YAML.")
    }
  }

  private static func text(_ scalar: yaml_event_s.__Unnamed_union_data.__Unnamed_struct_scalar)
    -> String?
  {
    let text = unsafe String(
      decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
    let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
    return isPlain && ["", "~", "null", "Null", "NULL"].contains(text) ? nil : text
  }
}
