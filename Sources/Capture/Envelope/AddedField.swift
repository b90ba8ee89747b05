internal import ConnectData
internal import JSON

/// A field that unwrapping carries over from the envelope. Source: Debezium's `add.fields`:
/// `op`, `ts_ms` and the like from the envelope, `id` and the orders from `transaction`, everything
/// else from `source`; or as `source.ts_ms`; or with a new name behind a colon.
struct AddedField: Hashable, Sendable {
  enum Source: String, Hashable, Sendable {
    case operation = "op"
    case milliseconds = "ts_ms"
    case microseconds = "ts_us"
    case nanoseconds = "ts_ns"
    case transactionID = "transaction.id"
    case totalOrder = "transaction.total_order"
    case dataCollectionOrder = "transaction.data_collection_order"
    case version = "source.version"
    case connector = "source.connector"
    case name = "source.name"
    case sourceMilliseconds = "source.ts_ms"
    case snapshot = "source.snapshot"
    case database = "source.db"
    case sequence = "source.sequence"
    case sourceMicroseconds = "source.ts_us"
    case sourceNanoseconds = "source.ts_ns"
    case schema = "source.schema"
    case table = "source.table"
    case xid = "source.txId"
    case lsn = "source.lsn"
    case xmin = "source.xmin"
    case origin = "source.origin"
    case originLSN = "source.origin_lsn"
  }

  var source: Source
  var name: String
  /// `"name":`
  var label: [UInt8]

  static func fields(_ names: [String], prefix: String) throws(EventError) -> [AddedField] {
    var fields: [AddedField] = []
    for name in names {
      let parts = name.split(separator: ":", omittingEmptySubsequences: false)
      guard let path = parts.first, parts.count <= 2 else { throw .unknownField(name) }
      let source: Source? =
        switch path {
        case "op", "ts_ms", "ts_us", "ts_ns": Source(rawValue: String(path))
        case "id", "total_order", "data_collection_order":
          Source(rawValue: "transaction.\(path)")
        default:
          // A bare name with a dot names its block itself.
          Source(rawValue: path.contains(".") ? String(path) : "source.\(path)")
        }
      guard let source else { throw .unknownField(name) }
      let plain = path.split(separator: ".").joined(separator: "_")
      let newName = prefix + (parts.count == 2 ? String(parts[1]) : plain)
      var json = JSONText()
      json.string(newName)
      json.raw(":")
      fields.append(AddedField(source: source, name: newName, label: json.take()))
    }
    return fields
  }

  /// The schema of a flat row: the row's own when nothing is added.
  static func flat(
    _ row: ConnectSchema, isRewriting: Bool, _ added: [AddedField]
  ) -> ConnectSchema {
    guard isRewriting || !added.isEmpty, case .structure(var fields) = row.kind else { return row }
    if isRewriting { fields.append(.init("__deleted", ConnectSchema(.string, isOptional: true))) }
    for field in added { fields.append(.init(field.name, field.schema)) }
    // Connect's `copySchemaBasics` keeps the name and drops that it was optional.
    return ConnectSchema(.structure(fields), name: row.name)
  }

  private var schema: ConnectSchema {
    let path = source.rawValue.split(separator: ".").map(String.init)
    let block: ConnectSchema =
      switch path.first {
      case "source": EnvelopeSchemas.source
      case "transaction": EnvelopeSchemas.transaction
      default: EnvelopeSchemas.envelope(ConnectSchema(.string), name: "")
      }
    guard case .structure(let fields) = block.kind,
      var schema = fields.first(where: { $0.name == path.last })?.schema
    else { preconditionFailure("\(source.rawValue) is a field of its block") }
    schema.isOptional = true
    schema.defaultValue = nil
    return schema
  }

  /// A header's text as Connect's own converter writes it: strings without quotes, nothing for
  /// null.
  private static func plain(_ json: [UInt8]) -> [UInt8]? {
    guard json != JSONText.nullText else { return nil }
    guard json.first == UInt8(ascii: "\"") else { return json }
    var text: [UInt8] = []
    var isEscaped = false
    for byte in json.dropFirst().dropLast() {
      isEscaped = byte == UInt8(ascii: "\\") && !isEscaped
      if !isEscaped { text.append(byte) }
    }
    return text
  }

  static func headers(
    _ fields: [AddedField], _ operation: StaticString, _ source: SourceInfo, _ now: Int64,
    _ options: EnvelopeOptions, _ table: TableSchema
  ) -> [EncodedEvent.Header] {
    fields.map { field in
      var json = JSONText()
      field.source.write(operation, source, now, options, table, to: &json)
      return .init(name: field.name, value: plain(json.take()))
    }
  }
}

extension AddedField.Source {
  func write(
    _ operation: StaticString, _ source: SourceInfo, _ now: Int64, _ options: EnvelopeOptions,
    _ table: TableSchema, to json: inout JSONText
  ) {
    switch self {
    case .operation: json.string(operation.description)
    case .milliseconds: json.integer(now / 1_000_000)
    case .microseconds: json.integer(now / 1000)
    case .nanoseconds: json.integer(now)
    case .transactionID:
      if let id = source.transaction?.id { json.string(id.description) } else { json.null() }
    case .totalOrder: SourceInfo.write(source.transaction?.totalOrder, to: &json)
    case .dataCollectionOrder:
      SourceInfo.write(source.transaction?.dataCollectionOrder, to: &json)
    case .version: json.string(options.version)
    case .connector: json.string("postgresql")
    case .name: json.string(options.topicPrefix)
    case .sourceMilliseconds: json.integer(source.time / 1000)
    case .snapshot: json.string(source.snapshot.rawValue)
    case .database: json.string(source.database)
    case .sequence: source.writeSequence(to: &json)
    case .sourceMicroseconds: json.integer(source.time)
    case .sourceNanoseconds:
      let (nanoseconds, overflow) = source.time.multipliedReportingOverflow(by: 1000)
      json.integer(overflow ? (source.time < 0 ? .min : .max) : nanoseconds)
    case .schema: json.string(table.namespace)
    case .table: json.string(table.name)
    case .xid: SourceInfo.write(source.xid.map { Int64($0) }, to: &json)
    case .lsn: SourceInfo.write(source.lsn, to: &json)
    case .xmin: SourceInfo.write(source.xmin, to: &json)
    case .origin: if let origin = source.origin { json.string(origin) } else { json.null() }
    case .originLSN: SourceInfo.write(source.originLSN, to: &json)
    }
  }
}

extension UnwrapOptions {
  var isRewriting: Bool {
    deleteMode == .rewrite || deleteMode == .rewriteWithTombstone
  }

  /// Whether the tombstone behind a delete stays: in the other modes the delete is it, or nothing
  /// is.
  var keepsTombstones: Bool { deleteMode == .rewriteWithTombstone }

  /// The mode that the two older settings mean together: `delete.handling.mode` (drop, rewrite,
  /// none) and `drop.tombstones`. Nil: not a mode.
  package static func deleteMode(
    legacyHandling handling: String, dropsTombstones: Bool
  ) -> DeleteMode? {
    switch handling {
    case "drop": dropsTombstones ? .drop : .tombstone
    case "rewrite": dropsTombstones ? .rewrite : .rewriteWithTombstone
    // A delete becomes a tombstone; a second one behind it would say the same.
    case "none": dropsTombstones ? .deleteToTombstone : .tombstone
    default: nil
    }
  }
}
