internal import JSON

/// A schema of Kafka Connect: what a field may hold and what it means.
///
/// Printed as JsonConverter does, members in its order: type, what is in it, optional, name,
/// version, doc, parameters, default, field.
package struct ConnectSchema: Hashable, Sendable {
  package indirect enum Kind: Hashable, Sendable {
    case boolean, int16, int32, int64, float, double, string, bytes
    case structure([Field])
    case array(ConnectSchema)
    case map(keys: ConnectSchema, values: ConnectSchema)
  }

  package struct Field: Hashable, Sendable {
    package var name: String
    package var schema: ConnectSchema

    package init(_ name: String, _ schema: ConnectSchema) {
      self.name = name
      self.schema = schema
    }
  }

  package struct Parameter: Hashable, Sendable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  package var kind: Kind
  package var isOptional: Bool
  package var name: String?
  package var version: Int?
  package var doc: String?
  package var parameters: [Parameter]
  /// JSON text.
  package var defaultValue: [UInt8]?

  package init(
    _ kind: Kind, isOptional: Bool = false, name: String? = nil, version: Int? = nil,
    doc: String? = nil, parameters: [Parameter] = [], defaultValue: [UInt8]? = nil
  ) {
    self.kind = kind
    self.isOptional = isOptional
    self.name = name
    self.version = version
    self.doc = doc
    self.parameters = parameters
    self.defaultValue = defaultValue
  }

  package func optional(_ isOptional: Bool = true) -> ConnectSchema {
    var schema = self
    schema.isOptional = isOptional
    return schema
  }

  package func json() -> [UInt8] {
    var text = JSONText(capacity: 1024)
    write(to: &text, field: nil)
    return text.take()
  }

  private func write(to text: inout JSONText, field: String?) {
    text.raw("{\"type\":\"\(typeName)\"")
    switch kind {
    case .structure(let fields):
      text.raw(",\"fields\":[")
      for (index, field) in fields.enumerated() {
        if index > 0 { text.raw(",") }
        field.schema.write(to: &text, field: field.name)
      }
      text.raw("]")
    case .array(let items):
      text.raw(",\"items\":")
      items.write(to: &text, field: nil)
    case .map(let keys, let values):
      text.raw(",\"keys\":")
      keys.write(to: &text, field: nil)
      text.raw(",\"values\":")
      values.write(to: &text, field: nil)
    default: break
    }
    text.raw(isOptional ? ",\"optional\":true" : ",\"optional\":false")
    member("name", name, &text)
    if let version { text.raw(",\"version\":\(version)") }
    member("doc", doc, &text)
    if !parameters.isEmpty {
      for (index, parameter) in parameters.enumerated() {
        text.raw(index == 0 ? ",\"parameters\":{" : ",")
        text.string(parameter.name)
        text.raw(":")
        text.string(parameter.value)
      }
      text.raw("}")
    }
    if let defaultValue {
      text.raw(",\"default\":")
      text.raw(defaultValue)
    }
    member("field", field, &text)
    text.raw("}")
  }

  private func member(_ name: String, _ value: String?, _ text: inout JSONText) {
    guard let value else { return }
    text.raw(",\"\(name)\":")
    text.string(value)
  }

  private var typeName: String {
    switch kind {
    case .boolean: "boolean"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .float: "float"
    case .double: "double"
    case .string: "string"
    case .bytes: "bytes"
    case .structure: "struct"
    case .array: "array"
    case .map: "map"
    }
  }
}
