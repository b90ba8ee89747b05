// What a setting is: its name, its type, what it may be, and what it is where nobody said.
//
// Values travel and are kept as text in one canonical form: what is taken is trimmed, parsed and
// written again, so that " 5 " and "+5" are both kept as "5" and equal settings have equal bytes.

/// Kafka's number of a setting's type in DescribeConfigs.
package enum ConfigType: Int8, Sendable {
  case boolean = 1
  case string = 2
  case int = 3
  case short = 4
  case long = 5
  case double = 6
  case list = 7
  case password = 9
}

/// What a value of the type has to be besides.
package enum ConfigRule: Sendable {
  case any
  case atLeast(Int64)
  case between(ClosedRange<Int64>)
  /// A range, or one value outside of it that means "the default".
  case betweenOr(ClosedRange<Int64>, Int64)
  /// A double of this range.
  case fraction(ClosedRange<Double>)
  /// One of these, or for a list: some of them.
  case oneOf([String])
  /// `*`, or pairs partition:broker.
  case throttledReplicas
  /// A replication factor: odd, because an even number of replicas survives no more failures.
  case odd
}

/// Why a value is refused, in Kafka's words.
package struct ConfigFault: Error, Hashable, Sendable, CustomStringConvertible {
  package var message: String
  package var description: String { message }

  init(_ message: String) { self.message = message }

  init(_ value: String, of name: String, _ reason: String) {
    message = "Invalid value \(value) for configuration \(name): \(reason)"
  }
}

/// A broker's setting that a topic's setting defaults to.
package struct BrokerConfigName: Hashable, Sendable {
  package var name: String
  /// What the broker's value is multiplied by: hours and minutes become milliseconds.
  package var factor: Int64

  init(_ name: String, times factor: Int64 = 1) {
    self.name = name
    self.factor = factor
  }
}

/// One setting of topics or brokers.
package struct ConfigDefinition: Sendable {
  package let name: String
  package let type: ConfigType
  /// Canonical; nil where nothing is a value of its own.
  package let defaultValue: String?
  package let rule: ConfigRule
  /// A sentence for DescribeConfigs.
  package let documentation: String
  /// Of a topic's setting: the broker's settings it defaults to, the first that has a value.
  package let brokerNames: [BrokerConfigName]
  /// Of a broker's setting: may be changed while the broker runs.
  package let isDynamic: Bool

  init(
    _ name: String, _ type: ConfigType, _ defaultValue: String?, _ rule: ConfigRule,
    broker brokerNames: [BrokerConfigName] = [], isDynamic: Bool = false, _ documentation: String
  ) {
    self.name = name
    self.type = type
    self.defaultValue = defaultValue
    self.rule = rule
    self.documentation = documentation
    self.brokerNames = brokerNames
    self.isDynamic = isDynamic
  }

  /// Anything of its type will do.
  init(
    _ name: String, _ type: ConfigType, _ defaultValue: String?,
    broker brokerNames: [BrokerConfigName] = [], _ documentation: String
  ) {
    self.init(name, type, defaultValue, .any, broker: brokerNames, documentation)
  }

  /// The one text of the value that `raw` says.
  package func canonical(_ raw: String) throws(ConfigFault) -> String {
    switch type {
    case .boolean: try boolean(raw)
    case .int: try integer(raw, Int64(Int32.min)...Int64(Int32.max), "INT")
    case .short: try integer(raw, Int64(Int16.min)...Int64(Int16.max), "SHORT")
    case .long: try integer(raw, .min ... .max, "LONG")
    case .double: try double(raw)
    case .list: try list(raw)
    case .string: try oneOf(raw)
    case .password: raw
    }
  }

  /// The elements of a list's canonical text.
  static func elements(_ canonical: String) -> [String] {
    canonical.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
  }

  private func boolean(_ raw: String) throws(ConfigFault) -> String {
    let value = raw.trimmed
    if value.isExactlyIgnoringCase("true") { return "true" }
    if value.isExactlyIgnoringCase("false") { return "false" }
    throw ConfigFault(raw, of: name, "Expected value to be either true or false")
  }

  private func integer(
    _ raw: String, _ range: ClosedRange<Int64>, _ typeName: String
  ) throws(ConfigFault) -> String {
    guard let value = Int64(raw.trimmed), range.contains(value) else {
      throw ConfigFault(raw, of: name, "Not a number of type \(typeName)")
    }
    switch rule {
    case .atLeast(let least):
      try refuse(value, unless: value >= least, "Value must be at least \(least)")
    case .between(let bounds):
      try refuse(
        value, unless: value >= bounds.lowerBound, "Value must be at least \(bounds.lowerBound)")
      try refuse(
        value, unless: value <= bounds.upperBound,
        "Value must be no more than \(bounds.upperBound)")
    case .betweenOr(let bounds, let other):
      try refuse(
        value, unless: bounds.contains(value) || value == other,
        "Value must be between \(bounds.lowerBound) and \(bounds.upperBound) or equal to \(other)")
    case .odd:
      try refuse(value, unless: value >= 1, "Value must be at least 1")
      try refuse(value, unless: value % 2 == 1, "Value must be odd")
    case .any, .fraction, .oneOf, .throttledReplicas: break
    }
    return String(value)
  }

  private func refuse(
    _ value: Int64, unless isGood: Bool, _ reason: String
  ) throws(ConfigFault) {
    if !isGood { throw ConfigFault(String(value), of: name, reason) }
  }

  private func double(_ raw: String) throws(ConfigFault) -> String {
    guard let value = Double(raw.trimmed), value.isFinite else {
      throw ConfigFault(raw, of: name, "Not a number of type DOUBLE")
    }
    if case .fraction(let bounds) = rule {
      guard value >= bounds.lowerBound else {
        throw ConfigFault("\(value)", of: name, "Value must be at least \(Int(bounds.lowerBound))")
      }
      guard value <= bounds.upperBound else {
        throw ConfigFault(
          "\(value)", of: name, "Value must be no more than \(Int(bounds.upperBound))")
      }
    }
    return "\(value)"
  }

  private func oneOf(_ value: String) throws(ConfigFault) -> String {
    guard case .oneOf(let allowed) = rule else { return value }
    guard allowed.contains(where: { $0.isExactly(value) }) else {
      throw ConfigFault(
        value, of: name, "String must be one of: \(allowed.joined(separator: ", "))")
    }
    return value
  }

  /// Every element once, in the order given.
  private func list(_ raw: String) throws(ConfigFault) -> String {
    let trimmed = raw.trimmed
    guard !trimmed.isEmpty else { return "" }
    var elements: [String] = []
    for part in trimmed.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let element = String(Substring(part)).trimmed
      if !elements.contains(where: { $0.isExactly(element) }) { elements.append(element) }
    }
    if case .throttledReplicas = rule {
      try checkReplicas(elements)
    } else {
      for element in elements { _ = try oneOf(element) }
    }
    return elements.joined(separator: ",")
  }

  private func checkReplicas(_ elements: [String]) throws(ConfigFault) {
    if elements.count == 1, elements[0].isExactly("*") { return }
    for element in elements {
      let pair = element.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      guard pair.count == 2, pair.allSatisfy({ Int32(Substring($0)).map { $0 >= 0 } ?? false })
      else {
        throw ConfigFault(
          "[\(elements.joined(separator: ", "))]", of: name,
          "\(name) must be the literal '*' or a list of replicas in the following format: "
            + "[partitionId]:[brokerId],[partitionId]:[brokerId],...")
      }
    }
  }
}

extension String {
  /// Without what Java's `trim` takes off: control characters and spaces at both ends.
  fileprivate var trimmed: String {
    guard let first = utf8.firstIndex(where: { $0 > 0x20 }),
      let last = utf8.lastIndex(where: { $0 > 0x20 })
    else { return "" }
    return String(Substring(utf8[first...last]))
  }

  fileprivate func isExactlyIgnoringCase(_ lowercase: String) -> Bool {
    utf8.elementsEqual(lowercase.utf8) { byte, lower in
      byte == lower || byte &+ 0x20 == lower
    }
  }
}
