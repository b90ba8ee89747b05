internal import ConnectData
internal import JSON

/// All that can be known before the first row of a table: how each column is converted, and every
/// byte of its events that no row changes, schemas among them.
final class TablePlan: Sendable {
  struct Column: Sendable {
    var name: String
    /// Rows have it; otherwise it is there for the key alone.
    var isInValue: Bool
    /// `"name":`, with a comma in front in all but the first.
    var label: [UInt8]
    var kind: ValueKind
    /// What is written where a key-only old row does not have the column.
    var absent: [UInt8]
    /// What is written for an unchanged TOAST value.
    var unavailable: [UInt8]
    var schema: ConnectSchema
  }

  let table: TableSchema
  let columns: [Column]
  /// Rows have no column.
  let isEmpty: Bool
  /// Columns of the key, labelled for it.
  let keyLabels: [(column: Int, label: [UInt8])]
  /// `{"schema":…,"payload":`, or nothing.
  let keyHead: [UInt8]
  let valueHead: [UInt8]
  /// `,"source":{"version":…,"name":…,"ts_ms":`
  let sourceHead: [UInt8]
  /// `,"schema":…,"table":…,"txId":`
  let sourceTable: [UInt8]
  /// Fields that unwrapping adds.
  let added: [AddedField]
  let addedHeaders: [AddedField]

  init(_ table: TableSchema, _ mapper: TypeMapper) throws(EventError) {
    let options = mapper.options
    let qualified = "\(options.topicPrefix).\(table.namespace).\(table.name)"
    var columns: [Column] = []
    let first = table.columns.firstIndex(where: \.isInValue)
    for (index, column) in table.columns.enumerated() {
      columns.append(
        Self.column(
          column, isFirst: index == first, isKey: table.keyColumns.contains(index), mapper))
    }
    self.table = table
    self.columns = columns
    isEmpty = first == nil
    keyLabels = table.keyColumns.enumerated().map { position, column in
      (column, Self.label(columns[column].name, isFirst: position == 0))
    }
    let keySchema = ConnectSchema(
      .structure(table.keyColumns.map { .init(columns[$0].name, columns[$0].schema) }),
      name: "\(qualified).Key")
    keyHead = options.keySchemas ? Self.head(keySchema) : []

    let row = ConnectSchema(
      .structure(columns.filter(\.isInValue).map { .init($0.name, $0.schema) }),
      isOptional: true, name: "\(qualified).Value")
    let envelope = EnvelopeSchemas.envelope(row, name: "\(qualified).Envelope")
    if let unwrap = options.unwrap {
      added = try AddedField.fields(unwrap.addFields, prefix: unwrap.addFieldsPrefix)
      addedHeaders = try AddedField.fields(unwrap.addHeaders, prefix: unwrap.addHeadersPrefix)
      valueHead =
        options.valueSchemas
        ? Self.head(AddedField.flat(row, isRewriting: unwrap.isRewriting, added)) : []
    } else {
      added = []
      addedHeaders = []
      valueHead = options.valueSchemas ? Self.head(envelope) : []
    }
    sourceHead = Self.sourceHead(options)
    sourceTable = Self.sourceTable(namespace: table.namespace, table: table.name)
  }

  private static func column(
    _ column: ColumnSchema, isFirst: Bool, isKey: Bool, _ mapper: TypeMapper
  ) -> Column {
    var mapping = mapper.mapping(for: column)
    let isOptional = column.isOptional && !isKey
    mapping.schema.isOptional = isOptional
    let zero = JSONText.zero(of: mapping.kind, named: mapping.schema.name)
    mapping.schema.defaultValue = defaultValue(column, mapping, zero)
    let hasSchemas = mapper.options.valueSchemas
    let absent =
      isOptional || !hasSchemas
      ? JSONText.nullText : mapping.schema.defaultValue ?? zero ?? JSONText.nullText
    return Column(
      name: column.name, isInValue: column.isInValue, label: label(column.name, isFirst: isFirst),
      kind: mapping.kind,
      absent: absent, unavailable: unavailable(mapping.kind, mapper.options), schema: mapping.schema
    )
  }

  private static func defaultValue(
    _ column: ColumnSchema, _ mapping: ValueMapping, _ zero: [UInt8]?
  ) -> [UInt8]? {
    guard let expression = column.defaultExpression else { return nil }
    switch mapping.kind {
    // Debezium gives none to these.
    case .array, .point, .hstoreMap: return nil
    default: break
    }
    switch DefaultExpression(expression) {
    case .null: return nil
    case .computed: return mapping.schema.name == SchemaName.enumeration ? nil : zero
    case .literal(let text):
      var json = JSONText()
      // `'now'::timestamp` and the like are constants only in their spelling.
      guard (try? json.value(text[...], as: mapping.kind)) != nil else { return zero }
      return json.take()
    }
  }

  private static func unavailable(_ kind: ValueKind, _ options: EnvelopeOptions) -> [UInt8] {
    let placeholder = ArraySlice(options.unavailableValue.utf8)
    var json = JSONText()
    switch kind {
    case .string, .hstoreJSON: json.string(placeholder)
    case .bytes(.bytes), .bytes(.base64): json.base64(placeholder)
    case .bytes(.base64URLSafe):
      json.base64(placeholder.count, isURLSafe: true) { placeholder[placeholder.startIndex + $0] }
    case .bytes(.hex):
      json.string(
        placeholder.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined())
    case .array(.string, _, let dimensions):
      for _ in 0..<(dimensions ?? 1) { json.raw("[") }
      json.string(placeholder)
      for _ in 0..<(dimensions ?? 1) { json.raw("]") }
    default: json.null()
    }
    return json.take()
  }

  private static func label(_ name: String, isFirst: Bool) -> [UInt8] {
    var json = JSONText()
    if !isFirst { json.raw(",") }
    json.string(name)
    json.raw(":")
    return json.take()
  }

  static func head(_ schema: ConnectSchema) -> [UInt8] {
    Array("{\"schema\":".utf8) + schema.json() + Array(",\"payload\":".utf8)
  }

  static func sourceHead(_ options: EnvelopeOptions) -> [UInt8] {
    var json = JSONText()
    json.raw("\"source\":{\"version\":")
    json.string(options.version)
    json.raw(",\"connector\":\"postgresql\",\"name\":")
    json.string(options.topicPrefix)
    json.raw(",\"ts_ms\":")
    return json.take()
  }

  static func sourceTable(namespace: String, table: String) -> [UInt8] {
    var json = JSONText()
    json.raw(",\"schema\":")
    json.string(namespace)
    json.raw(",\"table\":")
    json.string(table)
    json.raw(",\"txId\":")
    return json.take()
  }
}
