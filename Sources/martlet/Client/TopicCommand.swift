internal import Client
internal import JSON

/// `martlet topic create|list|describe|alter|delete`.
enum TopicCommand {
  static func run(_ words: [String]) throws {
    let rest = words.dropFirst()
    switch words.first {
    case "create": try create(rest)
    case "list": try list(rest)
    case "describe": try describe(rest)
    case "alter": try alter(rest)
    case "delete": try delete(rest)
    case let verb?: throw UsageError("'\(verb)' is nothing to do with a topic; \(verbs).")
    case nil: throw UsageError("What is to be done with topics? \(verbs).")
    }
  }

  private static let verbs = "There are create, list, describe, alter and delete"

  private static func create(_ rest: ArraySlice<String>) throws {
    let words = try Words(
      rest,
      [
        .init("partitions", "p"), .init("replication-factor"), .init("config", "c"),
        .init("if-not-exists", takesValue: false),
      ])
    let names = try words.operands("the topics to make", 1...1000)
    let partitions = try words.number("partitions", Int32.self)
    let replicas = try words.number("replication-factor", Int16.self)
    let configs = Dictionary(try words.pairs("config"), uniquingKeysWith: { _, last in last })
    let client = try ClientCommand.client(words)
    var outcomes = try ClientCommand.wait {
      try await client.createTopics(
        names.map {
          NewTopic($0, partitions: partitions, replicationFactor: replicas, configs: configs)
        })
    }
    if words.has("if-not-exists") {
      outcomes = outcomes.filter { _, outcome in
        guard case .failure(let error) = outcome else { return true }
        // TOPIC_ALREADY_EXISTS
        return error.code != .broker(36)
      }
    }
    try ClientCommand.check(outcomes)
  }

  private static func list(_ rest: ArraySlice<String>) throws {
    let words = try Words(
      rest, [.init("internal", takesValue: false), .init("json", "J", takesValue: false)])
    _ = try words.operands("", 0...0)
    let client = try ClientCommand.client(words)
    let includesInternal = words.has("internal")
    let names = try ClientCommand.wait {
      try await client.listTopics(includingInternal: includesInternal)
    }
    if words.has("json") { return print(JSONValue.array(names.map { .string($0) })) }
    for name in names { print(name) }
  }

  private static func describe(_ rest: ArraySlice<String>) throws {
    let words = try Words(rest, [.init("json", "J", takesValue: false)])
    let names = try words.operands("the topics to describe", 1...1000)
    let client = try ClientCommand.client(words)
    let found = try ClientCommand.wait { try await client.describeTopics(names) }
    let topics = names.compactMap { try? found[$0]?.get() }
    let partitions = topics.flatMap { topic in
      topic.partitions.filter { $0.leader >= 0 }.map { TopicPartition(topic.name, $0.number) }
    }
    let (starts, ends, settings) = try ClientCommand.wait {
      (
        try await client.offsets(partitions, at: .beginning),
        try await client.offsets(partitions, at: .end),
        try await client.describeConfigs(topics.map { .topic($0.name) })
      )
    }
    for topic in topics {
      let configs = ((try? settings[.topic(topic.name)]?.get()) ?? [])
        .filter { $0.source == 1 }.sorted { $0.name < $1.name }
      if words.has("json") {
        print(json(topic, configs, starts, ends))
      } else {
        show(topic, configs, starts, ends)
      }
    }
    try ClientCommand.check(found)
  }

  private static func show(
    _ topic: TopicDescription, _ configs: [ConfigEntry], _ starts: [TopicPartition: Int64],
    _ ends: [TopicPartition: Int64]
  ) {
    print("topic \(topic.name), id \(topic.id), \(topic.partitions.count) partitions")
    for config in configs { print("  \(config.name)=\(config.value ?? "(hidden)")") }
    var columns = Columns(
      "  partition", "leader", "epoch", "start", "high watermark", "replicas", "in sync")
    for partition in topic.partitions {
      let id = TopicPartition(topic.name, partition.number)
      columns.add(
        "  \(partition.number)", partition.leader < 0 ? "none" : "\(partition.leader)",
        "\(partition.leaderEpoch)",
        starts[id].map { "\($0)" } ?? "?", ends[id].map { "\($0)" } ?? "?",
        partition.replicas.map { "\($0)" }.joined(separator: ","),
        partition.inSyncReplicas.map { "\($0)" }.joined(separator: ","))
    }
    columns.write()
  }

  private static func json(
    _ topic: TopicDescription, _ configs: [ConfigEntry], _ starts: [TopicPartition: Int64],
    _ ends: [TopicPartition: Int64]
  ) -> JSONValue {
    let partitions = topic.partitions.map { partition in
      let id = TopicPartition(topic.name, partition.number)
      return [
        "partition": .init(partition.number), "leader": .init(partition.leader),
        "leaderEpoch": .init(partition.leaderEpoch), "start": .init(starts[id] ?? -1),
        "end": .init(ends[id] ?? -1), "highWatermark": .init(ends[id] ?? -1),
        "replicas": .array(partition.replicas.map { .init($0) }),
        "inSync": .array(partition.inSyncReplicas.map { .init($0) }),
      ] as JSONValue
    }
    return [
      "topic": .string(topic.name), "id": .string(topic.id),
      "configs": .object(configs.map { .init($0.name, .init($0.value)) }),
      "partitions": .array(partitions),
    ]
  }

  private static func alter(_ rest: ArraySlice<String>) throws {
    let words = try Words(rest, [.init("partitions", "p"), .init("config", "c"), .init("unset")])
    let name = try words.operands("the topic to change", 1...1)[0]
    let partitions = try words.number("partitions", Int32.self)
    var changes: [String: ConfigChange] = [:]
    for (setting, value) in try words.pairs("config") { changes[setting] = .set(value) }
    for setting in words.values("unset") { changes[setting] = .delete }
    guard partitions != nil || !changes.isEmpty else {
      throw UsageError("Say what is to change: --partitions, --config NAME=VALUE or --unset NAME.")
    }
    let client = try ClientCommand.client(words)
    if !changes.isEmpty {
      let wanted = [ConfigResource.topic(name): changes]
      let outcomes = try ClientCommand.wait { try await client.alterConfigs(wanted) }
      for case .failure(let error) in outcomes.values { throw error }
    }
    if let partitions {
      try ClientCommand.check(
        try ClientCommand.wait { try await client.createPartitions([name: partitions]) })
    }
  }

  private static func delete(_ rest: ArraySlice<String>) throws {
    let words = try Words(rest, [])
    let names = try words.operands("the topics to delete", 1...1000)
    let client = try ClientCommand.client(words)
    try ClientCommand.check(try ClientCommand.wait { try await client.deleteTopics(names) })
  }
}
