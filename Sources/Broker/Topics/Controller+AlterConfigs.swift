internal import KafkaWire

// AlterConfigs replaces all settings of a resource, IncrementalAlterConfigs changes single ones.
// Each resource succeeds or fails as a whole, and by itself. A bad value is INVALID_CONFIG for a
// topic and INVALID_REQUEST for a broker, as in Kafka.

/// Kafka's numbers of what has settings.
enum ConfigResourceType {
  static let topic: Int8 = 2
  static let broker: Int8 = 4
}

/// One change, whichever request it came with.
private struct ConfigChange {
  /// Kafka's numbers: 0 set, 1 delete, 2 append, 3 subtract.
  enum Operation: Int8 {
    case set, delete, append, subtract
  }

  var name: String
  var operation: Int8
  var value: String?
}

/// What is to be changed.
private struct ConfigTarget {
  enum Resource {
    case topic(TopicState)
    /// Nil stands for all nodes.
    case broker(Int32?)
  }

  var resource: Resource
  var configs: ConfigValues

  var faultCode: ErrorCode {
    switch resource {
    case .topic: .invalidConfig
    case .broker: .invalidRequest
    }
  }
}

extension Controller {
  func decide(_ request: AlterConfigsRequest, on cluster: ClusterView) -> Decision {
    var response = AlterConfigsResponse()
    let changes = request.resources.map { resource in
      (
        resource.resourceType, resource.resourceName,
        resource.configs.map { ConfigChange(name: $0.name, operation: 0, value: $0.value) }
      )
    }
    let records = alter(changes, replacingAll: true, on: cluster) { type, name, code, message in
      response.responses.append(.outcome(type, name, code, message))
    }
    return Decision(
      records: request.validateOnly ? [] : records, outcome: .reply(.alterConfigs(response)))
  }

  func decide(_ request: IncrementalAlterConfigsRequest, on cluster: ClusterView) -> Decision {
    var response = IncrementalAlterConfigsResponse()
    let changes = request.resources.map { resource in
      (
        resource.resourceType, resource.resourceName,
        resource.configs.map {
          ConfigChange(name: $0.name, operation: $0.configOperation, value: $0.value)
        }
      )
    }
    let records = alter(changes, replacingAll: false, on: cluster) { type, name, code, message in
      response.responses.append(.outcome(type, name, code, message))
    }
    return Decision(
      records: request.validateOnly ? [] : records,
      outcome: .reply(.incrementalAlterConfigs(response)))
  }

  private func alter(
    _ resources: [(Int8, String, [ConfigChange])], replacingAll: Bool, on cluster: ClusterView,
    answer: (Int8, String, ErrorCode, String?) -> Void
  ) -> [MetadataRecord] {
    var counts: [[UInt8]: Int] = [:]
    func key(_ type: Int8, _ name: String) -> [UInt8] {
      [UInt8(bitPattern: type)] + name.utf8
    }
    for (type, name, _) in resources { counts[key(type, name), default: 0] += 1 }
    var records: [MetadataRecord] = []
    for (type, name, changes) in resources {
      do throws(Refusal) {
        guard counts[key(type, name)] == 1 else {
          throw Refusal(.invalidRequest, "Each resource must appear at most once.")
        }
        var target = try target(type, name, on: cluster)
        let before = target.configs
        if replacingAll { target.configs = ConfigValues() }
        try apply(changes, to: &target)
        if target.configs != before { records.append(record(target)) }
        answer(type, name, .none, nil)
      } catch {
        answer(type, name, error.code, error.message)
      }
    }
    return records
  }

  private func target(
    _ type: Int8, _ name: String, on cluster: ClusterView
  ) throws(Refusal) -> ConfigTarget {
    switch type {
    case ConfigResourceType.topic:
      guard !name.isEmpty else {
        throw Refusal(.invalidRequest, "Default topic resources are not allowed.")
      }
      if let fault = TopicName.fault(name) { throw Refusal(.invalidTopicException, fault) }
      guard let topic = decided.topic(named: name) else {
        throw Refusal(.unknownTopicOrPartition, "The topic '\(name)' does not exist.")
      }
      return ConfigTarget(resource: .topic(topic), configs: topic.configs)
    case ConfigResourceType.broker:
      if name.isEmpty {
        return ConfigTarget(resource: .broker(nil), configs: decided.clusterConfigs)
      }
      guard let id = Int32(name) else {
        throw Refusal(.invalidRequest, "Node id must be an integer, but it is: \(name)")
      }
      guard cluster.hasBroker(id) else {
        throw Refusal(
          .invalidRequest, "Unexpected broker id, expected \(nodeId), but received \(id)")
      }
      return ConfigTarget(
        resource: .broker(id), configs: decided.nodeConfigs[id] ?? ConfigValues())
    default: throw Refusal(.invalidRequest, "Unknown resource type \(type)")
    }
  }

  private func record(_ target: ConfigTarget) -> MetadataRecord {
    switch target.resource {
    case .topic(let topic): .topicConfigured(topic.id, target.configs)
    case .broker(let id): .brokerConfigured(node: id, target.configs)
    }
  }

  private func apply(
    _ changes: [ConfigChange], to target: inout ConfigTarget
  ) throws(Refusal) {
    var names: Set<[UInt8]> = []
    for change in changes {
      guard names.insert(Array(change.name.utf8)).inserted else {
        throw Refusal(.invalidRequest, "Error due to duplicate config keys")
      }
      guard let operation = ConfigChange.Operation(rawValue: change.operation) else {
        throw Refusal(.invalidRequest, "Unknown config operation \(change.operation)")
      }
      try apply(operation, change, to: &target)
    }
    if case .topic(let topic) = target.resource {
      try check(target.configs)
      try checkInternal(topic.name, target.configs)
    }
  }

  private func apply(
    _ operation: ConfigChange.Operation, _ change: ConfigChange, to target: inout ConfigTarget
  ) throws(Refusal) {
    if operation == .delete {
      // Taking away what is not there, known or not, changes nothing and is no fault.
      if change.name.isASCII { target.configs[change.name] = nil }
      return
    }
    guard let value = change.value else {
      throw Refusal(.invalidRequest, "Null value not supported for : \(change.name)")
    }
    do throws(ConfigFault) {
      let definition = try definition(change.name, of: target)
      let canonical: String
      if operation == .set {
        canonical = try definition.canonical(value)
      } else {
        guard definition.type == .list else {
          let verb = operation == .append ? "APPEND" : "SUBTRACT"
          throw ConfigFault(
            "Can't \(verb) to key \(change.name) because its type is not LIST.")
        }
        let old = target.configs[definition.name] ?? definition.defaultValue ?? ""
        canonical = try definition.canonical(combined(old, operation, value))
      }
      target.configs[definition.name] = canonical
    } catch {
      throw Refusal(target.faultCode, error.message)
    }
  }

  private func definition(
    _ name: String, of target: ConfigTarget
  ) throws(ConfigFault) -> ConfigDefinition {
    switch target.resource {
    case .topic: return try topicDefinition(name)
    case .broker:
      guard let definition = BrokerConfigTable.definition(name), definition.isDynamic else {
        throw ConfigFault("Cannot update these configs dynamically: [\(name)]")
      }
      return definition
    }
  }

  private func combined(
    _ old: String, _ operation: ConfigChange.Operation, _ value: String
  ) -> String {
    let old = ConfigDefinition.elements(old)
    let given = ConfigDefinition.elements(value)
    let elements =
      operation == .append ? old + given : old.filter { element in !given.contains(element) }
    return elements.joined(separator: ",")
  }

  func topicDefinition(_ name: String) throws(ConfigFault) -> ConfigDefinition {
    guard let definition = TopicConfigTable.definition(name) else {
      throw ConfigFault("Unknown topic config name: \(name)")
    }
    return definition
  }

  /// Whether a topic's settings go together.
  func check(_ configs: ConfigValues) throws(Refusal) {
    if configs["remote.storage.enable"] == "true" {
      throw Refusal(
        .invalidConfig,
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with "
          + "remote log storage.")
    }
    let config = TopicConfig(configs, on: brokerConfigs(in: decided))
    guard config.minCompactionLagMilliseconds <= config.maxCompactionLagMilliseconds else {
      throw Refusal(
        .invalidConfig,
        "conflict topic config setting min.compaction.lag.ms "
          + "(\(config.minCompactionLagMilliseconds)) > max.compaction.lag.ms "
          + "(\(config.maxCompactionLagMilliseconds))")
    }
  }
}
