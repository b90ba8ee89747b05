internal import Client
internal import JSON
internal import Platform

/// `martlet consume TOPIC...`: prints records, as kcat does.
struct ConsumeCommand {
  private let topics: [String]
  private let partitions: [Int32]
  private let from: Place
  private let hasFrom: Bool
  private let countMax: Int
  private let exitsAtEnd: Bool
  private let options: Consumer.Options
  private let output: RecordFormatter
  private let client: Client

  init(_ arguments: [String]) throws {
    let words = try Words(
      arguments,
      [
        .init("from", "o"), .init("partition", "p"), .init("group", "G"), .init("count", "c"),
        .init("exit", "e", takesValue: false), .init("format", "f"),
        .init("json", "J", takesValue: false), .init("key-separator", "K"), .init("delimiter", "D"),
        .init("assignor"), .init("instance"), .init("read-committed", takesValue: false),
      ])
    topics = try words.operands("the topic to read", 1...1000)
    partitions = try words.values("partition").map { text in
      guard let number = Int32(text), number >= 0 else {
        throw UsageError("--partition is a number of zero or more, not '\(text)'.")
      }
      return number
    }
    let place = try words.value("from")
    hasFrom = place != nil
    from = try Place(place ?? "beginning", "from")
    countMax = try words.number("count", Int.self) ?? .max
    exitsAtEnd = words.has("exit")
    output = try RecordFormatter(words)
    options = try Self.options(words, from, hasFrom)
    guard options.groupID == nil || partitions.isEmpty else {
      throw UsageError("--group shares partitions out by itself; leave --partition out.")
    }
    client = try ClientCommand.client(words)
  }

  private static func options(
    _ words: Words, _ from: Place, _ hasFrom: Bool
  ) throws -> Consumer.Options {
    var options = Consumer.Options()
    options.groupID = try words.value("group")
    options.groupInstanceID = try words.value("instance")
    guard options.groupInstanceID == nil || options.groupID != nil else {
      throw UsageError("--instance needs --group.")
    }
    options.autoOffsetReset = .earliest
    if options.groupID != nil, hasFrom {
      switch from {
      case .beginning: break
      case .end: options.autoOffsetReset = .latest
      default:
        throw UsageError(
          "With --group, --from is beginning or end: where nothing is committed yet.")
      }
    }
    if let name = try words.value("assignor") {
      guard let assignor = Assignor(rawValue: name) else {
        throw UsageError("--assignor is range or cooperative-sticky, not '\(name)'.")
      }
      options.assignors = [assignor]
    }
    if words.has("read-committed") { options.isolation = .readCommitted }
    return options
  }

  func run() throws {
    ClientCommand.handleInterrupts()
    let consumer = try Consumer(client, options)
    let client = self.client
    let topics = self.topics
    var ends: [TopicPartition: Int64] = [:]
    if options.groupID != nil {
      try ClientCommand.wait { try await consumer.subscribe(topics) }
      if exitsAtEnd { ends = try places(.end) }
    } else {
      let begins = try places(from)
      ends = exitsAtEnd ? try places(.end) : [:]
      consumer.assign(begins.keys.sorted())
      for partition in begins.keys.sorted() {
        consumer.seek(partition, to: .offset(begins[partition] ?? 0))
      }
    }
    do {
      try read(consumer, ends)
    } catch {
      try ClientCommand.wait { await consumer.close() }
      throw error
    }
    try ClientCommand.wait { await consumer.close() }
    client.close()
  }

  private func places(_ place: Place) throws -> [TopicPartition: Int64] {
    let (topics, numbers, client) = (self.topics, partitions, client)
    return try ClientCommand.wait {
      var found: [TopicPartition: Int64] = [:]
      for topic in topics {
        let partitions = try await place.partitions(of: topic, numbers, client)
        found.merge(try await place.offsets(partitions, client)) { first, _ in first }
      }
      return found
    }
  }

  private func read(_ consumer: Consumer, _ ends: [TopicPartition: Int64]) throws {
    var left = countMax
    while left > 0, !ClientCommand.isInterrupted {
      let isDone = exitsAtEnd ? try isAtEnd(consumer, ends) : false
      let records = try consumer.pollBlocking(timeoutMilliseconds: isDone ? 0 : 100)
      if records.isEmpty {
        if isDone { return }
        continue
      }
      let shown = records.prefix(left)
      left -= shown.count
      // What was not shown is not committed as read.
      goBack(consumer, to: records.dropFirst(shown.count))
      do throws(ProcessError) {
        guard try Console.write(shown.flatMap(output.bytes)) else {
          return goBack(consumer, to: shown)
        }
      } catch {
        goBack(consumer, to: shown)
        throw error
      }
    }
  }

  private func goBack(_ consumer: Consumer, to records: ArraySlice<ConsumerRecord>) {
    for record in records.reversed() {
      consumer.seek(record.topicPartition, to: .offset(record.offset))
    }
  }

  private func isAtEnd(_ consumer: Consumer, _ ends: [TopicPartition: Int64]) throws -> Bool {
    try ClientCommand.wait {
      let assigned = try await consumer.assignment()
      guard !assigned.isEmpty else { return false }
      for partition in assigned {
        guard let position = try await consumer.position(partition) else { return false }
        if position < ends[partition] ?? 0 { return false }
      }
      return true
    }
  }
}

/// A record as bytes for people and programs: `--format`, `--json`, or key and value.
struct RecordFormatter {
  private enum Part {
    case text([UInt8])
    case field(Character)
  }

  private let parts: [Part]?

  init(_ words: Words) throws {
    guard !words.has("json") else {
      parts = nil
      return
    }
    let delimiter = try words.value("delimiter") ?? "\\n"
    let separator = try words.value("key-separator")
    let format = try words.value("format")
    parts = try Self.parse(format ?? (separator.map { "%k\($0)%s" } ?? "%s") + delimiter)
  }

  /// kcat's: %t topic, %p partition, %o offset, %k key, %s value, %K and %S their sizes (-1:
  /// null), %T timestamp, %h headers, %% a percent sign.
  private static func parse(_ format: String) throws -> [Part] {
    var parts: [Part] = []
    var text = ""
    var characters = Escapes.resolved(format)[...]
    while let character = characters.popFirst() {
      guard character == "%" else {
        text.append(character)
        continue
      }
      guard let field = characters.popFirst(), "tpoksKSTh%".contains(field) else {
        throw UsageError("--format knows %t %p %o %k %s %K %S %T %h and %%, and '\(format)' more.")
      }
      if field == "%" {
        text.append("%")
        continue
      }
      parts += [.text(Array(text.utf8)), .field(field)]
      text = ""
    }
    return parts + [.text(Array(text.utf8))]
  }

  func bytes(_ record: ConsumerRecord) -> [UInt8] {
    guard let parts else { return json(record) }
    var bytes: [UInt8] = []
    for part in parts {
      switch part {
      case .text(let text): bytes += text
      case .field(let field): bytes += Self.field(field, record)
      }
    }
    return bytes
  }

  private static func field(_ field: Character, _ record: ConsumerRecord) -> [UInt8] {
    switch field {
    case "t": Array(record.topic.utf8)
    case "p": Array("\(record.partition)".utf8)
    case "o": Array("\(record.offset)".utf8)
    case "k": Array(record.key ?? [])
    case "s": Array(record.value ?? [])
    case "K": Array("\(record.key?.count ?? -1)".utf8)
    case "S": Array("\(record.value?.count ?? -1)".utf8)
    case "T": Array("\(record.timestamp)".utf8)
    default:
      Array(
        record.headers.map { header in
          let value = header.value.map { String(decoding: $0, as: UTF8.self) } ?? "NULL"
          return "\(header.key)=\(value)"
        }.joined(separator: ",").utf8)
    }
  }

  /// As kcat -J, a line.
  private func json(_ record: ConsumerRecord) -> [UInt8] {
    var json = JSONText()
    func text(_ text: ArraySlice<UInt8>?) { if let text { json.string(text) } else { json.null() } }
    json.raw("{\"topic\":")
    json.string(record.topic)
    json.raw(",\"partition\":\(record.partition),\"offset\":\(record.offset),\"tstype\":\"")
    json.raw(record.timestampType == .createTime ? "create" : "logappend")
    json.raw("\",\"ts\":\(record.timestamp),\"headers\":[")
    for (index, header) in record.headers.enumerated() {
      if index > 0 { json.raw(",") }
      json.string(header.key)
      json.raw(",")
      text(header.value)
    }
    json.raw("],\"key\":")
    text(record.key)
    json.raw(",\"payload\":")
    text(record.value)
    json.raw("}\n")
    return json.take()
  }
}
