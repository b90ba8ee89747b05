import Capture
import Testing

@Suite struct `Changes become records` {
  private static let table = TableSchema(
    oid: 7, namespace: "public", name: "orders",
    columns: [
      ColumnSchema(name: "id", typeOID: 23, isOptional: false),
      ColumnSchema(name: "note", typeOID: 25, isOptional: false, defaultExpression: "'-'::text"),
      ColumnSchema(name: "big", typeOID: 25),
      ColumnSchema(name: "total", typeOID: 23, isOptional: false),
      ColumnSchema(name: "tags", typeOID: 1009),
      ColumnSchema(name: "blob", typeOID: 17),
      ColumnSchema(name: "many", typeOID: 1007),
    ], keyColumns: [0])

  private static let source = SourceInfo(
    database: "shop", time: 1_700_000_000_123_456, lastCommitLSN: LSN(10), lsn: LSN(20), xid: 5,
    transaction: TransactionPlace(
      id: TransactionID(xid: 5, lsn: LSN(30)), totalOrder: 3, dataCollectionOrder: 2))

  private static func row(_ values: String?...) -> [TupleColumn] {
    values.map { value in
      switch value {
      case nil: .null
      case "<unchanged>": .unchanged
      case let text?: .text(ArraySlice(text.utf8))
      }
    }
  }

  private static func encoder(
    schemas: Bool = false, _ change: (inout EnvelopeOptions) -> Void = { _ in }
  ) -> EventEncoder {
    var options = EnvelopeOptions(topicPrefix: "p")
    options.keySchemas = schemas
    options.valueSchemas = schemas
    change(&options)
    return EventEncoder(options: options, catalog: .builtIn)
  }

  private static func json(_ bytes: [UInt8]?) throws -> JSONValue {
    try bytes.map { try JSONValue($0) } ?? .null
  }

  private static func text(_ bytes: [UInt8]?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  private func events(
    _ change: Change, _ encoder: EventEncoder = encoder()
  ) throws -> [EncodedEvent] {
    var encoder = encoder
    return try encoder.events(
      for: change, of: Self.table, source: Self.source, now: 1_700_000_000_987_654_321)
  }

  private let new = row("1", "n", "b", "9", "{x}", "\\x01", "{1}")

  @Test func `a value that was not sent is taken from the old row when that is whole`() throws {
    let partial = Self.row(
      "1", "m", "<unchanged>", "9", "<unchanged>", "<unchanged>", "<unchanged>")
    let full = try events(.update(old: .full(new), new: partial))
    let after = try Self.json(full[0].value)["after"]
    #expect(after["big"] == .string("b"))
    #expect(after["many"] == .array([.number("1")]))
    let blind = try Self.json(try events(.update(old: nil, new: partial))[0].value)
    #expect(blind["before"] == .null)
    #expect(blind["after"]["big"] == .string("__debezium_unavailable_value"))
    #expect(blind["after"]["tags"] == .array([.string("__debezium_unavailable_value")]))
    #expect(
      blind["after"]["blob"] == .string("X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="))
    #expect(blind["after"]["many"] == .null)
  }

  @Test
  func
    `columns that a deleted row's key does not have are null, or with a schema what it requires`()
    throws
  {
    let key = Self.row("1", nil, nil, nil, nil, nil, nil)
    let plain = try Self.json(try events(.delete(old: .key(key)))[0].value)["before"]
    #expect(plain["note"] == .null && plain["total"] == .null)
    let schema = try Self.json(
      try events(.delete(old: .key(key)), Self.encoder(schemas: true))[0].value)["payload"][
        "before"]
    #expect(schema["note"] == .string("-"))
    #expect(schema["total"] == .number("0"))
    #expect(schema["big"] == .null)
  }

  @Test func `a delete is followed by its tombstone, unless it is not wanted or has no key`() throws
  {
    let deleted = try events(.delete(old: .full(new)))
    #expect(deleted.count == 2)
    #expect(deleted[1].value == nil)
    #expect(deleted[1].key == deleted[0].key)
    #expect(Self.text(deleted[0].key) == #"{"id":1}"#)
    #expect(
      try events(.delete(old: .full(new)), Self.encoder { $0.tombstonesOnDelete = false }).count
        == 1)
    let keyless = TableSchema(
      oid: 8, namespace: "public", name: "log", columns: Self.table.columns, keyColumns: [])
    var encoder = Self.encoder()
    let log = try encoder.events(
      for: .delete(old: .full(new)), of: keyless, source: Self.source, now: 0)
    #expect(log.count == 1)
    #expect(log[0].key == nil)
  }

  @Test func `another key is a delete, a tombstone and a create, each at its place`() throws {
    let old = Self.row("1", nil, nil, nil, nil, nil, nil)
    let moved = try events(
      .update(old: .key(old), new: Self.row("2", "n", "b", "9", "{x}", nil, nil)))
    #expect(moved.map { Self.text($0.key) } == [#"{"id":1}"#, #"{"id":1}"#, #"{"id":2}"#])
    #expect(moved[0].headers == [.init(name: "__debezium.newkey", value: moved[2].key)])
    #expect(moved[2].headers == [.init(name: "__debezium.oldkey", value: moved[0].key)])
    let (deleted, created) = (try Self.json(moved[0].value), try Self.json(moved[2].value))
    #expect(deleted["op"] == .string("d") && created["op"] == .string("c"))
    #expect(deleted["transaction"]["total_order"] == .number("3"))
    #expect(created["transaction"]["total_order"] == .number("4"))
    #expect(created["transaction"]["data_collection_order"] == .number("3"))
    #expect(created["transaction"]["id"] == .string("5:30"))
    #expect(created["before"] == .null)
  }

  @Test func `an old row without the key, or with the same, is an update`() throws {
    // By an index that is not the key.
    let other = Self.row(nil, "m", nil, nil, nil, nil, nil)
    let update = try events(.update(old: .key(other), new: new))
    #expect(update.count == 1)
    #expect(try Self.json(update[0].value)["op"] == .string("u"))
    #expect(try Self.json(update[0].value)["before"]["note"] == .string("m"))
    #expect(try events(.update(old: .full(new), new: new)).count == 1)
  }

  @Test func `a tuple of another shape, and a binary one, are refused`() throws {
    #expect(throws: EventError.columnCount(table: "orders", expected: 7, found: 1)) {
      try events(.create(Self.row("1")))
    }
    #expect(throws: EventError.columnCount(table: "orders", expected: 7, found: 0)) {
      try events(.create([]))
    }
    #expect(throws: EventError.columnCount(table: "orders", expected: 7, found: 1)) {
      try events(.update(old: .key(Self.row("1")), new: new))
    }
    var binary = new
    binary[1] = .binary([1])
    #expect(throws: EventError.binaryValue(table: "orders", column: "note")) {
      try events(.create(binary))
    }
  }

  @Test func `a changed table is encoded by its new shape, an equal one by the same plan`() throws {
    var encoder = Self.encoder()
    let wider = TableSchema(
      oid: 7, namespace: "public", name: "orders",
      columns: Self.table.columns + [ColumnSchema(name: "extra", typeOID: 23)], keyColumns: [0])
    for (table, row) in [(Self.table, new), (wider, new + Self.row("5")), (Self.table, new)] {
      let event = try encoder.events(for: .create(row), of: table, source: Self.source, now: 0)[0]
      let after = try Self.json(event.value)["after"]
      #expect(after.members.count == table.columns.count)
    }
  }

  // MARK: Unwrapped

  private func unwrapped(
    _ mode: UnwrapOptions.DeleteMode, schemas: Bool = false, fields: [String] = [],
    headers: [String] = []
  ) -> EventEncoder {
    Self.encoder(schemas: schemas) { options in
      var unwrap = UnwrapOptions()
      unwrap.deleteMode = mode
      unwrap.addFields = fields
      unwrap.addHeaders = headers
      options.unwrap = unwrap
    }
  }

  @Test(
    arguments: [
      (UnwrapOptions.DeleteMode.drop, []), (.tombstone, [nil]), (.deleteToTombstone, [nil]),
      (.rewrite, ["true"]), (.rewriteWithTombstone, ["true", nil]),
    ] as [(UnwrapOptions.DeleteMode, [String?])])
  func `flat: a delete becomes what its mode says`(
    mode: UnwrapOptions.DeleteMode, expected: [String?]
  ) throws {
    let records = try events(.delete(old: .full(new)), unwrapped(mode))
    #expect(try records.map { try Self.json($0.value)["__deleted"].text } == expected)
    #expect(records.allSatisfy { Self.text($0.key) == #"{"id":1}"# })
    #expect(records.map { $0.value == nil } == expected.map { $0 == nil })
  }

  @Test func `flat: rows carry what was asked for, in its order`() throws {
    let encoder = unwrapped(
      .rewrite, fields: ["op", "source.ts_ms", "table", "lsn:position", "transaction.id"],
      headers: ["op", "source.db"])
    let record = try events(.create(Self.row("1", "n", nil, "9", nil, nil, nil)), encoder)[0]
    #expect(
      Self.text(record.value)
        == #"{"id":1,"note":"n","big":null,"total":9,"tags":null,"blob":null,"many":null,"#
        + #""__deleted":"false","__op":"c","__source_ts_ms":1700000000123,"__table":"orders","#
        + #""__position":20,"__transaction_id":"5:30"}"#)
    #expect(record.headers.map(\.name) == ["__op", "__source_db"])
    #expect(record.headers.map { Self.text($0.value) } == ["c", "shop"])
    #expect(try events(.truncate, encoder).isEmpty)
    let row = try events(.create(new), unwrapped(.tombstone))[0]
    #expect(try Self.json(row.value)["__deleted"] == .null)
  }

  @Test func `flat: the schema has the fields that were added, all optional`() throws {
    let encoder = unwrapped(.rewrite, schemas: true, fields: ["op", "source.ts_ms"])
    let value = try Self.json(try events(.create(new), encoder)[0].value)
    #expect(value["schema"]["name"] == .string("p.public.orders.Value"))
    #expect(value["schema"]["optional"] == .bool(false))
    let fields = value["schema"]["fields"].elements
    #expect(fields.count == 10)
    #expect(fields.suffix(3).map { $0["field"].text } == ["__deleted", "__op", "__source_ts_ms"])
    #expect(fields.suffix(3).map { $0["type"].text } == ["string", "string", "int64"])
    #expect(fields.suffix(3).allSatisfy { $0["optional"] == .bool(true) })
    #expect(value["payload"]["__op"] == .string("c"))
    // Nothing added: the row's own schema.
    let plain = try Self.json(
      try events(.create(new), unwrapped(.tombstone, schemas: true))[0].value)
    #expect(plain["schema"]["optional"] == .bool(true))
  }

  @Test func `flat: a field that no event has is refused`() {
    #expect(throws: EventError.unknownField("source.nope")) {
      try events(.create(new), unwrapped(.rewrite, fields: ["source.nope"]))
    }
  }

  @Test func `what a form cannot say is null and said once, or stops capture`() throws {
    let numeric = TableSchema(
      oid: 8, namespace: "public", name: "prices",
      columns: [
        ColumnSchema(name: "id", typeOID: 1700, typeModifier: 10 << 16 | 4, isOptional: false),
        ColumnSchema(name: "price", typeOID: 1700, typeModifier: 10 << 16 | 2 + 4),
        ColumnSchema(name: "total", typeOID: 1700, isOptional: false),
        ColumnSchema(name: "all", typeOID: 1231, isOptional: false),
      ], keyColumns: [0])
    func events(_ encoder: inout EventEncoder, _ values: String?...) throws -> JSONValue {
      let row = values.map { $0.map { TupleColumn.text(ArraySlice($0.utf8)) } ?? .null }
      let events = try encoder.events(
        for: .create(row), of: numeric, source: Self.source, now: 1_700_000_000_987_654_321)
      return try Self.json(events[0].value)["after"]
    }
    var encoder = Self.encoder()
    #expect(try events(&encoder, "1", "NaN", "1.5", "{1}")["price"] == .null)
    #expect(encoder.takeNotes().map { $0.contains("column price of public.prices") } == [true])
    #expect(try events(&encoder, "1", "-Infinity", "1.5", "{1}")["price"] == .null)
    #expect(encoder.takeNotes() == [])
    // An element may be null, whatever the column is.
    #expect(try events(&encoder, "1", "1", "1.5", "{NaN}")["all"].elements == [.null])
    #expect(encoder.takeNotes().count == 1)
    for row in [["1", "1", "NaN", "{}"], ["NaN", "1", "1", "{}"]] {
      let error = #expect(throws: EventError.self) {
        _ = try events(&encoder, row[0], row[1], row[2], row[3])
      }
      #expect(error.map { "\($0)".contains("NaN, which decimal.handling.mode=precise") } == true)
    }
    var failing = Self.encoder { $0.convertingMode = .fail }
    #expect(throws: EventError.self) { _ = try events(&failing, "1", "NaN", "1", "{}") }
    var silent = Self.encoder { $0.convertingMode = .skip }
    #expect(try events(&silent, "1", "NaN", "1", "{}")["price"] == .null)
    #expect(silent.takeNotes() == [])
    var string = Self.encoder { $0.decimalMode = .string }
    #expect(try events(&string, "NaN", "NaN", "Infinity", "{NaN}")["total"].text == "Infinity")
    #expect(string.takeNotes() == [])
  }

  @Test func `a table of no columns has rows that are empty`() throws {
    let rows: [[String?]] = [["9", "public", "none", "d"] + [String?](repeating: nil, count: 8)]
    let table = try #require(try TableSchema.tables(rows: rows).first)
    #expect(table.columns == [])
    var encoder = Self.encoder(schemas: true)
    for change in [Change.read([]), .create([])] {
      let event = try #require(
        try encoder.events(for: change, of: table, source: Self.source, now: 1).first)
      #expect(event.key == nil)
      #expect(try Self.json(event.value)["payload"]["after"].members.isEmpty)
    }
  }

  @Test func `columns that are not wanted are in no value, and in the key all the same`() throws {
    let filter = try NameFilter("column", includes: [], excludes: ["public.orders.(id|big|many)"])
    let table = filter.marking(Self.table)
    for schemas in [false, true] {
      var encoder = Self.encoder(schemas: schemas)
      let old = Self.row("1", "m", "secret", "9", "{x}", "\\x01", "{1}")
      let event = try #require(
        try encoder.events(
          for: .update(old: .full(old), new: new), of: table, source: Self.source, now: 1
        ).first)
      let value = try Self.json(event.value)
      let payload = schemas ? value["payload"] : value
      for row in [payload["before"], payload["after"]] {
        #expect(row.members.keys.sorted() == ["blob", "note", "tags", "total"])
      }
      #expect(Self.text(event.key)?.contains("{\"id\":1}") == true)
      #expect(Self.text(event.value)?.contains("\"big\"") == false)
    }
    // Flat rows have what is added behind the columns, also when there are none.
    let none = try NameFilter("column", includes: ["x.y.z"], excludes: []).marking(Self.table)
    var flat = Self.encoder {
      $0.unwrap = UnwrapOptions()
      $0.unwrap?.addFields = ["op"]
    }
    let event = try flat.events(for: .create(new), of: none, source: Self.source, now: 1)[0]
    #expect(Self.text(event.value) == "{\"__op\":\"c\"}")
  }

  @Test func `a transaction's events are counted over all and over each table`() throws {
    let id = TransactionID(xid: 5, lsn: LSN(30))
    var counts = TransactionCounts(id)
    func take(_ table: String, _ events: Int = 1) -> [Int64] {
      let place = counts.next(table)
      #expect(place.id == id)
      counts.count(events, of: table)
      return [place.totalOrder, place.dataCollectionOrder]
    }
    #expect(take("b") == [1, 1])
    #expect(take("a", 2) == [2, 1])
    #expect(take("b") == [4, 2])
    #expect(take("a") == [5, 3])
    #expect(counts.total == 5)
    #expect(counts.tables.map(\.table) == ["b", "a"])
    #expect(counts.tables.map(\.events) == [2, 3])
    // A changed key is two events, in whatever form they are written.
    for unwrap in [nil, UnwrapOptions()] {
      var encoder = Self.encoder { $0.unwrap = unwrap }
      let old = Self.row("2", nil, nil, nil, nil, nil, nil)
      _ = try encoder.events(
        for: .update(old: .key(old), new: new), of: Self.table, source: Self.source, now: 1)
      #expect(encoder.placesTaken == 2)
      _ = try encoder.events(for: .create(new), of: Self.table, source: Self.source, now: 1)
      #expect(encoder.placesTaken == 1)
    }
  }
}
