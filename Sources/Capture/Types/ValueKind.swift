package import ConnectData

/// How the text of a Postgres value becomes JSON: chosen once per column, followed for every row.
///
/// One table for snapshot and stream, so that a row read and the same row inserted are the same
/// event. Where this deliberately differs from what Debezium 3.6 was recorded to do:
///
/// | type                           | Debezium                       | here                      |
/// |--------------------------------|--------------------------------|---------------------------|
/// | name                           | null when streamed             | text                      |
/// | date ±infinity                 | one number read, another       | largest, smallest int32   |
/// |                                | streamed                       |                           |
/// | numeric without scale          | trailing zeros lost            | scale as stored           |
/// | NaN, ±Infinity in Decimal      | null, an error is logged; a    | null, one line is logged; |
/// |                                | column not null fails          | not null stops capture    |
/// | arrays of n dimensions         | n nulls                        | see below                 |
/// | arrays of money, name, point,  | no column                      | arrays                    |
/// | interval, bit, xml             |                                |                           |
/// | geometry but point, composites,| no column                      | string, as Postgres       |
/// | multiranges, tsquery, pg_lsn,  |                                | prints it                 |
/// | types nobody knows             |                                |                           |
/// | generated stored columns       | read, not streamed             | as the table's schema has |
/// |                                |                                | them                      |
/// | null where there is a default  | the default                    | null                      |
/// | unchanged TOAST, full identity | the placeholder                | the old row's value       |
/// | unchanged TOAST, neither text, | differs by type                | null                      |
/// | bytes nor an array of text     |                                |                           |
///
/// Arrays without schemas are nested as they are. A schema says how deep it is: as deep as the
/// column is declared (one, where that is not known). Postgres does not enforce a declaration, so a
/// value that is deeper loses its outer levels after the first ([[1,2],[3]] in int[] is [1,2,3])
/// and a shallower one is wrapped; no element is ever lost.
package indirect enum ValueKind: Hashable, Sendable {
  case boolean
  /// `bit(1)`.
  case bit
  /// Little endian, base64, as many bytes as the highest set bit needs.
  case bits
  /// Digits as they are.
  case integer
  case float
  case decimal(scale: Int)
  case variableDecimal
  case money(fractionDigits: Int, EnvelopeOptions.DecimalMode)
  case string
  case bytes(EnvelopeOptions.BinaryMode)
  case date
  case isoDate
  case time(TimeUnit)
  case isoTime
  case zonedTime
  case timestamp(TimeUnit)
  case isoTimestamp
  case zonedTimestamp(fractionDigits: Int)
  case interval
  case isoInterval
  case hstoreJSON
  case hstoreMap
  case point
  /// `dimensions`: of the schema; nil where there is none.
  case array(element: ValueKind, delimiter: UInt8, dimensions: Int?)
}

/// A column's conversion and its schema.
package struct ValueMapping: Sendable {
  package var kind: ValueKind
  package var schema: ConnectSchema

  fileprivate init(_ kind: ValueKind, _ schema: ConnectSchema.Kind) {
    self.kind = kind
    self.schema = ConnectSchema(schema)
  }

  fileprivate init(
    _ kind: ValueKind, _ schema: ConnectSchema.Kind, _ name: String,
    _ parameters: [ConnectSchema.Parameter] = []
  ) {
    self.kind = kind
    self.schema = ConnectSchema(schema, name: name, version: 1, parameters: parameters)
  }
}

/// Chooses conversions by type, type modifier and settings.
package struct TypeMapper: Sendable {
  package var options: EnvelopeOptions
  package var catalog: TypeCatalog

  package init(options: EnvelopeOptions, catalog: TypeCatalog) {
    self.options = options
    self.catalog = catalog
  }

  private var hasSchemas: Bool { options.keySchemas || options.valueSchemas }

  package func mapping(for column: ColumnSchema) -> ValueMapping {
    mapping(column.typeOID, column.typeModifier, dimensions: column.dimensions)
  }

  private func mapping(_ type: UInt32, _ modifier: Int32, dimensions: Int) -> ValueMapping {
    let (oid, modifier) = catalog.resolved(type, modifier)
    guard let entry = catalog[oid] else { return ValueMapping(.string, .string) }
    switch entry.kind {
    case .enumeration(let labels):
      return ValueMapping(
        .string, .string, SchemaName.enumeration,
        [.init("allowed", labels.joined(separator: ","))])
    case .array(let element, let delimiter):
      return array(element, modifier, delimiter, dimensions)
    case .range, .composite, .domain: return ValueMapping(.string, .string)
    case .base: break
    }
    return number(entry.name, modifier) ?? time(entry.name, modifier)
      ?? structured(entry.name, modifier) ?? ValueMapping(.string, .string)
  }

  private func array(
    _ element: UInt32, _ modifier: Int32, _ delimiter: UInt8, _ dimensions: Int
  ) -> ValueMapping {
    let item = mapping(element, modifier, dimensions: 0)
    // Debezium declares elements optional, all but those of enumerations.
    var isEnumeration = false
    if case .enumeration = catalog[catalog.resolved(element, modifier).0]?.kind {
      isEnumeration = true
    }
    let depth = hasSchemas ? max(1, dimensions) : nil
    var schema = item.schema.optional(!isEnumeration)
    for _ in 1..<max(2, depth ?? 1) where depth ?? 1 > 1 {
      schema = ConnectSchema(.array(schema), isOptional: true)
    }
    return ValueMapping(
      .array(element: item.kind, delimiter: delimiter, dimensions: depth), .array(schema))
  }

  private func number(_ name: String, _ modifier: Int32) -> ValueMapping? {
    switch name {
    case "bool": return ValueMapping(.boolean, .boolean)
    case "int2": return ValueMapping(.integer, .int16)
    case "int4": return ValueMapping(.integer, .int32)
    case "int8", "oid": return ValueMapping(.integer, .int64)
    case "float4": return ValueMapping(.float, .float)
    case "float8": return ValueMapping(.float, .double)
    case "bit", "varbit":
      if modifier == 1 { return ValueMapping(.bit, .boolean) }
      let length = modifier < 0 ? Int32.max : modifier
      return ValueMapping(.bits, .bytes, "io.debezium.data.Bits", [.init("length", "\(length)")])
    case "numeric": return numeric(modifier)
    case "money":
      let kind = ValueKind.money(
        fractionDigits: options.moneyFractionDigits, options.decimalMode)
      switch options.decimalMode {
      case .string: return ValueMapping(kind, .string)
      case .double: return ValueMapping(kind, .double)
      case .precise:
        return ValueMapping(
          kind, .bytes, SchemaName.decimal,
          [.init("scale", "\(options.moneyFractionDigits)")])
      }
    default: return nil
    }
  }

  private func numeric(_ modifier: Int32) -> ValueMapping {
    switch options.decimalMode {
    case .string: return ValueMapping(.string, .string)
    case .double: return ValueMapping(.float, .double)
    case .precise: break
    }
    // Four bytes of a header that no longer exists, then 16 bits of precision; the scale has 11
    // bits and a sign since version 15. Source: numeric.c, make_numeric_typmod.
    guard modifier >= 4 else {
      var mapping = ValueMapping(
        .variableDecimal,
        .structure([
          .init("scale", ConnectSchema(.int32)), .init("value", ConnectSchema(.bytes)),
        ]), "io.debezium.data.VariableScaleDecimal")
      mapping.schema.doc = "Variable scaled decimal"
      return mapping
    }
    let precision = (modifier - 4) >> 16 & 0xffff
    let scale = Int(((modifier - 4) & 0x7ff) ^ 1024) - 1024
    return ValueMapping(
      .decimal(scale: scale), .bytes, SchemaName.decimal,
      [.init("scale", "\(scale)"), .init("connect.decimal.precision", "\(precision)")])
  }

  private func time(_ name: String, _ modifier: Int32) -> ValueMapping? {
    let mode = options.timeMode
    // Up to three fraction digits fit milliseconds.
    let isShort = (0...3).contains(modifier)
    switch name {
    case "date":
      switch mode {
      case .isostring: return ValueMapping(.isoDate, .string, "io.debezium.time.IsoDate")
      case .connect: return ValueMapping(.date, .int32, "org.apache.kafka.connect.data.Date")
      default: return ValueMapping(.date, .int32, "io.debezium.time.Date")
      }
    case "time":
      switch mode {
      case .isostring: return ValueMapping(.isoTime, .string, "io.debezium.time.IsoTime")
      case .connect:
        return ValueMapping(.time(.milliseconds), .int32, "org.apache.kafka.connect.data.Time")
      case .nanoseconds:
        return ValueMapping(.time(.nanoseconds), .int64, "io.debezium.time.NanoTime")
      case .adaptive where isShort:
        return ValueMapping(.time(.milliseconds), .int32, "io.debezium.time.Time")
      default: return ValueMapping(.time(.microseconds), .int64, "io.debezium.time.MicroTime")
      }
    case "timestamp":
      switch mode {
      case .isostring: return ValueMapping(.isoTimestamp, .string, "io.debezium.time.IsoTimestamp")
      case .connect:
        return ValueMapping(
          .timestamp(.milliseconds), .int64, SchemaName.connectTimestamp)
      case .nanoseconds:
        return ValueMapping(.timestamp(.nanoseconds), .int64, SchemaName.nanoTimestamp)
      case .adaptive where isShort, .adaptiveTimeMicroseconds where isShort:
        return ValueMapping(.timestamp(.milliseconds), .int64, SchemaName.timestamp)
      default:
        return ValueMapping(.timestamp(.microseconds), .int64, SchemaName.microTimestamp)
      }
    case "timetz": return ValueMapping(.zonedTime, .string, "io.debezium.time.ZonedTime")
    case "timestamptz":
      let digits = (0...6).contains(modifier) ? Int(modifier) : 6
      return ValueMapping(
        .zonedTimestamp(fractionDigits: digits), .string, "io.debezium.time.ZonedTimestamp")
    case "interval":
      return options.intervalMode == .string
        ? ValueMapping(.isoInterval, .string, "io.debezium.time.Interval")
        : ValueMapping(.interval, .int64, "io.debezium.time.MicroDuration")
    default: return nil
    }
  }

  private func structured(_ name: String, _ modifier: Int32) -> ValueMapping? {
    switch name {
    case "bytea":
      return ValueMapping(
        .bytes(options.binaryMode), options.binaryMode == .bytes ? .bytes : .string)
    case "json", "jsonb": return ValueMapping(.string, .string, SchemaName.json)
    case "xml": return ValueMapping(.string, .string, "io.debezium.data.Xml")
    case "uuid": return ValueMapping(.string, .string, SchemaName.uuid)
    case "ltree": return ValueMapping(.string, .string, "io.debezium.data.Ltree")
    case "tsvector": return ValueMapping(.string, .string, "io.debezium.data.Tsvector")
    case "hstore":
      switch options.hstoreMode {
      case .json: return ValueMapping(.hstoreJSON, .string, SchemaName.json)
      case .map:
        return ValueMapping(
          .hstoreMap,
          .map(keys: ConnectSchema(.string), values: ConnectSchema(.string, isOptional: true)))
      }
    case "point":
      var mapping = ValueMapping(
        .point,
        .structure([
          .init("x", ConnectSchema(.double)), .init("y", ConnectSchema(.double)),
          .init("wkb", ConnectSchema(.bytes, isOptional: true)),
          .init("srid", ConnectSchema(.int32, isOptional: true)),
        ]), "io.debezium.data.geometry.Point")
      mapping.schema.doc = "Geometry (POINT)"
      return mapping
    default: return nil
    }
  }
}
