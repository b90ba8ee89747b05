internal import Client
internal import JSON

/// `martlet group list|describe|reset|delete`.
enum GroupCommand {
  static func run(_ words: [String]) throws {
    let rest = words.dropFirst()
    switch words.first {
    case "list": try list(rest)
    case "describe": try describe(rest)
    case "reset": try reset(rest)
    case "delete": try delete(rest)
    case let verb?: throw UsageError("'\(verb)' is nothing to do with a group; \(verbs).")
    case nil: throw UsageError("What is to be done with groups? \(verbs).")
    }
  }

  private static let verbs = "There are list, describe, reset and delete"

  private static func list(_ rest: ArraySlice<String>) throws {
    let words = try Words(rest, [.init("json", "J", takesValue: false)])
    _ = try words.operands("", 0...0)
    let client = try ClientCommand.client(words)
    let groups = try ClientCommand.wait { try await client.listGroups() }
    if words.has("json") {
      let elements = groups.map {
        [
          "group": .string($0.id), "state": .string($0.state), "type": .string($0.protocolType),
        ] as JSONValue
      }
      return print(JSONValue.array(elements))
    }
    for group in groups { print(group.id) }
  }

  private static func describe(_ rest: ArraySlice<String>) throws {
    let words = try Words(rest, [.init("json", "J", takesValue: false)])
    let id = try words.operands("the group to describe", 1...1)[0]
    let client = try ClientCommand.client(words)
    let (group, offsets) = try ClientCommand.wait {
      (try await client.describeGroup(id), try await client.groupOffsets(id))
    }
    guard group.state != "Dead" || !offsets.isEmpty else {
      throw CommandError("there is no group \(id)")
    }
    let partitions = Set(offsets.keys).union(group.members.flatMap(\.assignment)).sorted()
    // A topic that is gone has no end any more, and hides nothing of the others.
    let ends = try ClientCommand.wait {
      var ends: [TopicPartition: Int64] = [:]
      let topics = try await client.describeTopics(Array(Set(partitions.map(\.topic))))
      let there = partitions.filter { (try? topics[$0.topic]?.get()) != nil }
      ends = try await client.offsets(there, at: .end)
      return ends
    }
    var owners: [TopicPartition: GroupDescription.Member] = [:]
    for member in group.members {
      for partition in member.assignment { owners[partition] = member }
    }
    if words.has("json") { return print(json(group, partitions, offsets, ends, owners)) }
    print(
      "group \(id) is \(group.state), \(group.members.count) members"
        + (group.assignor.isEmpty ? "" : ", assignor \(group.assignor)"))
    var columns = Columns(
      "  topic", "partition", "offset", "end", "lag", "member", "client", "host")
    for partition in partitions {
      let lag = offsets[partition].flatMap { offset in ends[partition].map { max(0, $0 - offset) } }
      let owner = owners[partition]
      columns.add(
        "  \(partition.topic)", "\(partition.partition)",
        offsets[partition].map { "\($0)" } ?? "-", ends[partition].map { "\($0)" } ?? "-",
        lag.map { "\($0)" } ?? "-", owner?.id ?? "-", owner?.clientID ?? "-", owner?.host ?? "-")
    }
    columns.write()
  }

  private static func json(
    _ group: GroupDescription, _ partitions: [TopicPartition], _ offsets: [TopicPartition: Int64],
    _ ends: [TopicPartition: Int64], _ owners: [TopicPartition: GroupDescription.Member]
  ) -> JSONValue {
    let rows = partitions.map { partition in
      [
        "topic": .string(partition.topic), "partition": .init(partition.partition),
        "offset": .init(offsets[partition]), "end": .init(ends[partition]),
        "member": .init(owners[partition]?.id),
      ] as JSONValue
    }
    return [
      "group": .string(group.id), "state": .string(group.state),
      "assignor": .string(group.assignor), "members": .init(group.members.count),
      "partitions": .array(rows),
    ]
  }

  private static func reset(_ rest: ArraySlice<String>) throws {
    let words = try Words(rest, [.init("topic", "t"), .init("partition", "p"), .init("to", "o")])
    let id = try words.operands("the group to reset", 1...1)[0]
    guard let topic = try words.value("topic") else {
      throw UsageError("--topic says whose offsets are reset; name one.")
    }
    guard let text = try words.value("to") else {
      throw UsageError("--to says where: beginning, end, an offset, or @ and milliseconds.")
    }
    let place = try Place(text, "to")
    let number = try words.number("partition", Int32.self)
    let client = try ClientCommand.client(words)
    let offsets = try ClientCommand.wait {
      let partitions = try await place.partitions(of: topic, number.map { [$0] } ?? [], client)
      let offsets = try await place.offsets(partitions, client)
      try await client.setGroupOffsets(id, offsets)
      return offsets
    }
    for partition in offsets.keys.sorted() { print("\(partition): \(offsets[partition] ?? -1)") }
  }

  private static func delete(_ rest: ArraySlice<String>) throws {
    let words = try Words(rest, [])
    let ids = try words.operands("the groups to delete", 1...1000)
    let client = try ClientCommand.client(words)
    try ClientCommand.wait { for id in ids { try await client.deleteGroup(id) } }
  }
}

/// A place in partitions, as command lines name it.
enum Place {
  case beginning
  case end
  case offset(Int64)
  /// So many records before the end.
  case last(Int64)
  case time(Int64)

  init(_ text: String, _ option: String) throws {
    let time =
      text.hasPrefix("s@") ? text.dropFirst(2) : text.hasPrefix("@") ? text.dropFirst() : nil
    if text == "beginning" {
      self = .beginning
    } else if text == "end" {
      self = .end
    } else if let time, let milliseconds = Int64(time), milliseconds >= 0 {
      self = .time(milliseconds)
    } else if let number = Int64(text) {
      self = text.hasPrefix("-") ? .last(-number) : .offset(number)
    } else {
      throw UsageError(
        "--\(option) takes beginning, end, an offset, -N for N before the end, or @ and"
          + " milliseconds since 1970, not '\(text)'.")
    }
  }

  /// All partitions of a topic, or those of them that are named.
  func partitions(
    of topic: String, _ named: [Int32], _ client: Client
  ) async throws -> [TopicPartition] {
    guard let found = try await client.describeTopics([topic])[topic] else {
      throw CommandError("there is no topic \(topic)")
    }
    let all = try found.get().partitions.map(\.number)
    for number in named where !all.contains(number) {
      throw CommandError("topic \(topic) has \(all.count) partitions, not one numbered \(number)")
    }
    return (named.isEmpty ? all : named).map { TopicPartition(topic, $0) }
  }

  /// The offset in each of the partitions, within what is there.
  func offsets(
    _ partitions: [TopicPartition], _ client: Client
  ) async throws -> [TopicPartition: Int64] {
    let starts = try await client.offsets(partitions, at: .beginning)
    let ends = try await client.offsets(partitions, at: .end)
    var times: [TopicPartition: Int64] = [:]
    if case .time(let milliseconds) = self {
      times = try await client.offsets(partitions, at: .time(milliseconds))
    }
    var offsets: [TopicPartition: Int64] = [:]
    for partition in partitions {
      let start = starts[partition] ?? 0
      let end = ends[partition] ?? start
      let wanted: Int64 =
        switch self {
        case .beginning: start
        case .end: end
        case .offset(let offset): offset
        case .last(let count): end - min(end, count)
        case .time: times[partition] ?? end
        }
      offsets[partition] = min(max(wanted, start), end)
    }
    return offsets
  }
}
