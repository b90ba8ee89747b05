/// Settings that were made: names and canonical values, sorted by name.
package struct ConfigValues: Equatable, Sendable {
  package struct Entry: Equatable, Sendable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  package private(set) var entries: [Entry] = []

  package init() {}

  package init(_ values: KeyValuePairs<String, String>) {
    for (name, value) in values { self[name] = value }
  }

  package var isEmpty: Bool { entries.isEmpty }

  /// Nil where nothing was set. Names are ASCII, so that comparing them is comparing bytes.
  package subscript(_ name: String) -> String? {
    get {
      let index = place(of: name)
      guard index < entries.count, entries[index].name == name else { return nil }
      return entries[index].value
    }
    set {
      precondition(name.isASCII, "the name of a setting is ASCII")
      let index = place(of: name)
      let isThere = index < entries.count && entries[index].name == name
      switch (isThere, newValue) {
      case (true, let value?): entries[index].value = value
      case (true, nil): entries.remove(at: index)
      case (false, let value?): entries.insert(Entry(name: name, value: value), at: index)
      case (false, nil): break
      }
    }
  }

  /// The first entry whose name is not below `name`.
  private func place(of name: String) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].name < name { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Where a setting's value comes from, by Kafka's number in DescribeConfigs.
package enum ConfigSource: Int8, Sendable {
  case topic = 1
  case dynamicBroker = 2
  case dynamicDefault = 3
  case staticBroker = 4
  case builtIn = 5
}

/// One of the values a setting could have; the first of several counts.
package struct ConfigSynonym: Equatable, Sendable {
  package var name: String
  package var value: String
  package var source: ConfigSource
}

/// A setting as it is in force.
package struct EffectiveConfig: Equatable, Sendable {
  /// Nil where nothing is set and nothing is the default.
  package var value: String?
  package var source: ConfigSource
  /// Every value there is for it, the one in force first.
  package var synonyms: [ConfigSynonym]
}

/// The settings of one broker, in layers; a topic's settings fall back on them.
package struct BrokerConfigs: Equatable, Sendable {
  /// Changed while running, for this broker alone.
  package var node = ConfigValues()
  /// Changed while running, for all brokers.
  package var cluster = ConfigValues()
  /// From the file the broker was started with.
  package var file = ConfigValues()

  package init(
    node: ConfigValues = ConfigValues(), cluster: ConfigValues = ConfigValues(),
    file: ConfigValues = ConfigValues()
  ) {
    self.node = node
    self.cluster = cluster
    self.file = file
  }

  /// A broker's setting in force. Its synonyms also tell of the settings in other units behind it.
  package func effective(_ definition: ConfigDefinition) -> EffectiveConfig {
    let own = layers(definition.name)
    var synonyms = own
    for other in definition.brokerNames { synonyms += layers(other.name) }
    return EffectiveConfig(
      value: own.first?.value, source: own.first?.source ?? .builtIn, synonyms: synonyms)
  }

  /// A topic's setting in force, given the settings made for the topic.
  package func effective(_ definition: ConfigDefinition, topic: ConfigValues) -> EffectiveConfig {
    var synonyms: [ConfigSynonym] = []
    var value: String?
    // A value that this version cannot read (one written by another) counts as none.
    if let own = topic[definition.name], let canonical = try? definition.canonical(own) {
      synonyms.append(ConfigSynonym(name: definition.name, value: canonical, source: .topic))
      value = canonical
    }
    for broker in definition.brokerNames {
      let candidates = layers(broker.name)
      // As in Kafka, a default in another unit is not told of: it is not this setting's.
      synonyms += broker.factor == 1 ? candidates : candidates.filter { $0.source != .builtIn }
      if value == nil { value = candidates.first.flatMap { scaled($0.value, broker.factor) } }
    }
    return EffectiveConfig(
      value: value ?? definition.defaultValue, source: synonyms.first?.source ?? .builtIn,
      synonyms: synonyms)
  }

  /// A broker's setting in force, by name; nil where there is no such setting or no value.
  package func value(_ name: String) -> String? { layers(name).first?.value }

  /// Whether somebody said what it is to be.
  func isSet(_ name: String) -> Bool {
    layers(name).contains { $0.source != .builtIn }
  }

  /// A broker's number in force.
  ///
  /// A name that is not a number of the table is our own mistake and stops the program.
  package func number(_ name: String) -> Int64 {
    guard let text = value(name), let number = Int64(text) else {
      preconditionFailure("\(name) is not a number with a default")
    }
    return number
  }

  private func layers(_ name: String) -> [ConfigSynonym] {
    guard let definition = BrokerConfigTable.definition(name) else { return [] }
    let layers: [(String?, ConfigSource)] = [
      (node[name], .dynamicBroker), (cluster[name], .dynamicDefault), (file[name], .staticBroker),
    ]
    var candidates: [ConfigSynonym] = []
    for (raw, source) in layers {
      guard let raw, let value = try? definition.canonical(raw) else { continue }
      candidates.append(ConfigSynonym(name: name, value: value, source: source))
    }
    if let value = definition.defaultValue {
      candidates.append(ConfigSynonym(name: name, value: value, source: .builtIn))
    }
    return candidates
  }

  /// A count of hours as milliseconds; what is negative (for ever) stays -1.
  private func scaled(_ value: String, _ factor: Int64) -> String {
    guard factor != 1, let number = Int64(value) else { return value }
    guard number >= 0 else { return "-1" }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return String(overflow ? .max : product)
  }
}
