internal import Client
internal import Platform

/// `martlet produce TOPIC [FILE...]`: a record for each line of the files or of standard input.
struct ProduceCommand {
  private let topic: String
  private let files: [String]
  private let partition: Int32?
  private let key: [UInt8]?
  private let keySeparator: [UInt8]?
  private let delimiter: [UInt8]
  private let headers: [RecordHeader]
  private let isEmptyNull: Bool
  private let isWhole: Bool
  private let options: Producer.Options
  private let client: Client

  init(_ arguments: [String]) throws {
    let words = try Words(
      arguments,
      [
        .init("partition", "p"), .init("key", "k"), .init("key-separator", "K"),
        .init("delimiter", "D"), .init("header", "H"), .init("compression", "z"),
        .init("acks"), .init("null", "Z", takesValue: false), .init("whole", takesValue: false),
      ])
    let operands = try words.operands("the topic to write to", 1...1000)
    topic = operands[0]
    files = Array(operands.dropFirst())
    partition = try words.number("partition", Int32.self)
    key = try words.value("key").map { Array($0.utf8) }
    keySeparator = try Self.bytes(words, "key-separator")
    delimiter = try Self.bytes(words, "delimiter") ?? [10]
    headers = try words.pairs("header").map { RecordHeader(key: $0, value: Array($1.utf8)) }
    isEmptyNull = words.has("null")
    isWhole = words.has("whole")
    var options = Producer.Options()
    if let name = try words.value("compression") {
      guard let compression = Producer.Compression(name: name) else {
        throw UsageError("--compression is none, gzip, snappy, lz4 or zstd, not '\(name)'.")
      }
      options.compression = compression
    }
    if let text = try words.value("acks") {
      let number = text == "all" ? -1 : Int16(text)
      guard let acknowledgement = number.flatMap(Producer.Acknowledgement.init(rawValue:)) else {
        throw UsageError("--acks is 0, 1 or all, not '\(text)'.")
      }
      options.acknowledgement = acknowledgement
      options.isIdempotent = acknowledgement == .all
    }
    options.deliveryTimeoutMilliseconds = 30_000
    self.options = options
    client = try ClientCommand.client(words)
  }

  /// The bytes of an option, with \n, \t and \0 for those characters.
  private static func bytes(_ words: Words, _ name: String) throws -> [UInt8]? {
    guard let text = try words.value(name) else { return nil }
    let bytes = Array(Escapes.resolved(text).utf8)
    guard !bytes.isEmpty else { throw UsageError("--\(name) is at least one character.") }
    return bytes
  }

  func run() throws {
    let client = self.client
    let options = self.options
    let producer = try ClientCommand.wait { try await Producer(client, options) }
    let failure = Condition<ClientError?>(nil)
    let inputs = try files.isEmpty ? [InputBytes()] : files.map { try InputBytes(path: $0) }
    for input in inputs {
      var lines = Delimited(isWhole ? nil : delimiter)
      var isAtEnd = false
      while !isAtEnd, failure.withLock({ $0 }) == nil {
        let bytes = try input.read()
        isAtEnd = bytes.isEmpty
        let found = isAtEnd ? lines.rest() : lines.add(bytes)
        guard !found.isEmpty else { continue }
        let records = found.map(record)
        while !producer.enqueue(
          records,
          acknowledged: { error in
            if let error { failure.withLock { $0 = $0 ?? error } }
          })
        {
          let room = Condition(false)
          producer.whenRoom {
            room.withLock { $0 = true }
            room.broadcast()
          }
          room.wait(until: { $0 }) { _ in }
        }
      }
    }
    try ClientCommand.wait { try await producer.flush() }
    if let error = failure.withLock({ $0 }) { throw error }
    try ClientCommand.wait { await producer.close() }
    client.close()
  }

  private func record(_ line: ArraySlice<UInt8>) -> ProducerRecord {
    var key = self.key
    var value = line
    if let keySeparator, let range = Delimited.range(of: keySeparator, in: line) {
      key = Array(line[..<range.lowerBound])
      value = line[range.upperBound...]
      if isEmptyNull, key == [] { key = nil }
    }
    return ProducerRecord(
      topic: topic, partition: partition, key: key,
      value: isEmptyNull && value.isEmpty ? nil : Array(value), headers: headers)
  }
}

/// Cuts bytes where a delimiter is; nil keeps them whole.
struct Delimited {
  private let delimiter: [UInt8]?
  private var pending: [UInt8] = []

  init(_ delimiter: [UInt8]?) { self.delimiter = delimiter }

  /// The pieces that are whole now, without their delimiters.
  mutating func add(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    let scanned = max(0, pending.count - (delimiter?.count ?? 0))
    pending += bytes
    guard let delimiter else { return [] }
    var pieces: [ArraySlice<UInt8>] = []
    var start = 0
    var from = scanned
    while let range = Self.range(of: delimiter, in: pending[from...]) {
      pieces.append(pending[start..<range.lowerBound])
      start = range.upperBound
      from = start
    }
    pending = Array(pending[start...])
    return pieces
  }

  /// What is left behind the last delimiter, if there is anything.
  mutating func rest() -> [ArraySlice<UInt8>] {
    defer { pending = [] }
    return pending.isEmpty ? [] : [pending[...]]
  }

  static func range(of wanted: [UInt8], in bytes: ArraySlice<UInt8>) -> Range<Int>? {
    guard let first = wanted.first else { return nil }
    var index = bytes.startIndex
    while let found = bytes[index...].firstIndex(of: first) {
      guard found + wanted.count <= bytes.endIndex else { return nil }
      if bytes[found..<found + wanted.count].elementsEqual(wanted) {
        return found..<found + wanted.count
      }
      index = found + 1
    }
    return nil
  }
}

/// Backslash escapes in options.
enum Escapes {
  static func resolved(_ text: String) -> String {
    var result = ""
    var isEscaped = false
    for character in text {
      guard isEscaped else {
        if character == "\\" { isEscaped = true } else { result.append(character) }
        continue
      }
      isEscaped = false
      switch character {
      case "n": result.append("\n")
      case "r": result.append("\r")
      case "t": result.append("\t")
      case "0": result.append("\0")
      default: result.append(character)
      }
    }
    if isEscaped { result.append("\\") }
    return result
  }
}
