/// What the types of a database are: built-in ones by number, the others as its catalogue says.
package struct TypeCatalog: Sendable {
  package struct Entry: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
      case base
      case enumeration(labels: [String])
      case domain(base: UInt32, typeModifier: Int32)
      case array(element: UInt32, delimiter: UInt8)
      /// Ranges and multiranges.
      case range
      case composite
    }

    package var namespace: String
    package var name: String
    package var kind: Kind

    package init(namespace: String, name: String, kind: Kind) {
      self.namespace = namespace
      self.name = name
      self.kind = kind
    }
  }

  package private(set) var entries: [UInt32: Entry]

  /// The types that every Postgres has under the same number.
  package static let builtIn = TypeCatalog(entries: builtInEntries())

  package init(entries: [UInt32: Entry]) {
    self.entries = entries
  }

  package mutating func set(_ oid: UInt32, _ entry: Entry) {
    entries[oid] = entry
  }

  package subscript(oid: UInt32) -> Entry? {
    entries[oid]
  }

  /// SQL for all types of a database: one row per type, or per label of an enumeration.
  package static let query = """
    SELECT t.oid, n.nspname, t.typname, t.typtype, t.typcategory, t.typelem, \
    coalesce((SELECT s.typdelim FROM pg_type s WHERE s.oid = t.typelem), ','), \
    t.typbasetype, t.typtypmod, e.enumlabel \
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
    LEFT JOIN pg_enum e ON e.enumtypid = t.oid ORDER BY t.oid, e.enumsortorder
    """

  /// Reads the rows of `query`.
  package init(rows: [[String?]]) throws(CatalogueError) {
    entries = Self.builtIn.entries
    for row in rows {
      guard row.count == 10, let oid = row[0].flatMap({ UInt32($0) }), let namespace = row[1],
        let name = row[2], let type = row[3], let category = row[4],
        let element = row[5].flatMap({ UInt32($0) }), let delimiter = row[6]?.utf8.first,
        let base = row[7].flatMap({ UInt32($0) }), let typeModifier = row[8].flatMap({ Int32($0) })
      else { throw CatalogueError("the catalogue describes a type in a way that is not known") }
      if case .enumeration(var labels) = entries[oid]?.kind, let label = row[9] {
        labels.append(label)
        entries[oid]?.kind = .enumeration(labels: labels)
        continue
      }
      let kind: Entry.Kind
      switch type {
      case "e": kind = .enumeration(labels: row[9].map { [$0] } ?? [])
      case "d": kind = .domain(base: base, typeModifier: typeModifier)
      case "r", "m": kind = .range
      case "c": kind = .composite
      // int2vector and oidvector are of the category too, and are written with spaces.
      case _ where category == "A" && element != 0 && !name.hasSuffix("vector"):
        kind = .array(element: element, delimiter: delimiter)
      default: kind = .base
      }
      entries[oid] = Entry(namespace: namespace, name: name, kind: kind)
    }
  }

  /// The type below all domains, and the modifier that holds for it.
  package func resolved(_ oid: UInt32, _ typeModifier: Int32) -> (UInt32, Int32) {
    var oid = oid
    var typeModifier = typeModifier
    // Domains over domains end; the bound is for a catalogue that is not one.
    for _ in 0..<64 {
      guard case .domain(let base, let modifier) = entries[oid]?.kind else { break }
      oid = base
      if modifier >= 0 { typeModifier = modifier }
    }
    return (oid, typeModifier)
  }

  private static func builtInEntries() -> [UInt32: Entry] {
    var entries: [UInt32: Entry] = [:]
    // Name, number, number of the array. Source: pg_type.dat, where these never change.
    let bases: [(String, UInt32, UInt32)] = [
      ("bool", 16, 1000), ("bytea", 17, 1001), ("char", 18, 1002), ("name", 19, 1003),
      ("int8", 20, 1016), ("int2", 21, 1005), ("int4", 23, 1007), ("text", 25, 1009),
      ("oid", 26, 1028), ("json", 114, 199), ("xml", 142, 143), ("point", 600, 1017),
      ("lseg", 601, 1018), ("path", 602, 1019), ("box", 603, 1020), ("polygon", 604, 1027),
      ("line", 628, 629), ("cidr", 650, 651), ("float4", 700, 1021), ("float8", 701, 1022),
      ("circle", 718, 719), ("macaddr8", 774, 775), ("money", 790, 791), ("macaddr", 829, 1040),
      ("inet", 869, 1041), ("bpchar", 1042, 1014), ("varchar", 1043, 1015), ("date", 1082, 1182),
      ("time", 1083, 1183), ("timestamp", 1114, 1115), ("timestamptz", 1184, 1185),
      ("interval", 1186, 1187), ("timetz", 1266, 1270), ("bit", 1560, 1561),
      ("varbit", 1562, 1563), ("numeric", 1700, 1231), ("uuid", 2950, 2951),
      ("pg_lsn", 3220, 3221), ("tsvector", 3614, 3643), ("tsquery", 3615, 3645),
      ("jsonb", 3802, 3807),
    ]
    let ranges: [(String, UInt32, UInt32)] = [
      ("int4range", 3904, 3905), ("numrange", 3906, 3907), ("tsrange", 3908, 3909),
      ("tstzrange", 3910, 3911), ("daterange", 3912, 3913), ("int8range", 3926, 3927),
      ("int4multirange", 4451, 6150), ("nummultirange", 4532, 6151),
      ("tsmultirange", 4533, 6152), ("tstzmultirange", 4534, 6153),
      ("datemultirange", 4535, 6155), ("int8multirange", 4536, 6157),
    ]
    for (list, kind) in [(bases, Entry.Kind.base), (ranges, .range)] {
      for (name, oid, array) in list {
        entries[oid] = Entry(namespace: "pg_catalog", name: name, kind: kind)
        let delimiter = name == "box" ? UInt8(ascii: ";") : UInt8(ascii: ",")
        entries[array] = Entry(
          namespace: "pg_catalog", name: "_\(name)",
          kind: .array(element: oid, delimiter: delimiter))
      }
    }
    return entries
  }
}
