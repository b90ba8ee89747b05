/// The transformations that a connector's configuration names, as far as capture does them itself:
/// flat rows while they are encoded (`UnwrapOptions`), topics by pattern.
package struct EventTransforms: Sendable {
  package var unwrap: UnwrapOptions?
  /// Applied one behind the other.
  package var routers: [TopicRouter]

  package init(unwrap: UnwrapOptions? = nil, routers: [TopicRouter] = []) {
    self.unwrap = unwrap
    self.routers = routers
  }

  package func topic(_ topic: String) -> String {
    routers.reduce(topic) { $1.topic($0) }
  }

  /// Reads `transforms` and `transforms.NAME.*` of a connector's configuration.
  package init(properties: [String: String]) throws(PatternError) {
    self.init()
    for name in Self.list(properties["transforms"]) {
      let prefix = "transforms.\(name)."
      let settings = { (key: String) in properties[prefix + key] }
      switch settings("type") {
      case "org.apache.kafka.connect.transforms.RegexRouter":
        guard let regex = settings("regex"), let replacement = settings("replacement") else {
          throw PatternError(description: "\(prefix)regex and \(prefix)replacement must be given")
        }
        routers.append(try TopicRouter(regex: regex, replacement: replacement))
      case "io.debezium.transforms.ExtractNewRecordState":
        guard unwrap == nil else {
          throw PatternError(description: "transforms unwraps twice: name one of them")
        }
        unwrap = try Self.unwrap(prefix, settings)
      case let type:
        throw PatternError(
          description: "\(prefix)type is '\(type ?? "")', which is not one of RegexRouter and "
            + "ExtractNewRecordState")
      }
    }
  }

  private static func unwrap(
    _ prefix: String, _ settings: (String) -> String?
  ) throws(PatternError) -> UnwrapOptions {
    var unwrap = UnwrapOptions()
    if let mode = settings("delete.tombstone.handling.mode") {
      guard let mode = UnwrapOptions.DeleteMode(rawValue: mode) else {
        let modes = UnwrapOptions.DeleteMode.allCases.map(\.rawValue).joined(separator: ", ")
        throw PatternError(
          description: "\(prefix)delete.tombstone.handling.mode is '\(mode)', not one of \(modes)")
      }
      unwrap.deleteMode = mode
    } else if settings("delete.handling.mode") != nil || settings("drop.tombstones") != nil {
      let handling = settings("delete.handling.mode") ?? "drop"
      guard
        let mode = UnwrapOptions.deleteMode(
          legacyHandling: handling, dropsTombstones: settings("drop.tombstones") != "false")
      else {
        throw PatternError(
          description: "\(prefix)delete.handling.mode is '\(handling)', not drop, rewrite or none")
      }
      unwrap.deleteMode = mode
    }
    unwrap.addFields = list(settings("add.fields"))
    unwrap.addFieldsPrefix = settings("add.fields.prefix") ?? unwrap.addFieldsPrefix
    unwrap.addHeaders = list(settings("add.headers"))
    unwrap.addHeadersPrefix = settings("add.headers.prefix") ?? unwrap.addHeadersPrefix
    for (names, setting) in [(unwrap.addFields, "add.fields"), (unwrap.addHeaders, "add.headers")] {
      do throws(EventError) {
        _ = try AddedField.fields(names, prefix: "")
      } catch {
        throw PatternError(description: "\(prefix)\(setting): \(error)")
      }
    }
    return unwrap
  }

  private static func list(_ text: String?) -> [String] {
    (text ?? "").split(separator: ",").compactMap { part in
      let name = part.filter { !$0.isWhitespace }
      return name.isEmpty ? nil : name
    }
  }
}

/// `org.apache.kafka.connect.transforms.RegexRouter`: a topic that the pattern matches as a whole
/// gets the name that the replacement makes of it; any other keeps its own.
package struct TopicRouter: Sendable {
  private let pattern: Pattern
  private let replacement: String

  package init(regex: String, replacement: String) throws(PatternError) {
    pattern = try Pattern(regex)
    self.replacement = replacement
  }

  package func topic(_ topic: String) -> String {
    pattern.replacement(for: topic, template: replacement) ?? topic
  }
}
