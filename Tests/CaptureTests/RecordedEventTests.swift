import Capture
import Foundation
import Testing

/// Every event that was recorded is made again from the row it is of. Positions, times and ids are
/// taken from the recording, so they must come out in their places too.
@Suite struct `Events as Debezium wrote them` {
  /// What one recording was made with.
  private struct Replay {
    var encoder: EventEncoder
    var metadata: MetadataEncoder
    var tables: [String: TableSchema]
    var alltypes: [[TupleColumn]]

    init(schemas: Bool) throws {
      var options = EnvelopeOptions(topicPrefix: "pg")
      options.keySchemas = schemas
      options.valueSchemas = schemas
      encoder = EventEncoder(options: options, catalog: try RecordedEvents.catalog())
      metadata = MetadataEncoder(options: options)
      tables = try RecordedEvents.tables()
      alltypes = try RecordedEvents.rows(RecordedEvents.text("catalogue/alltypes.copy"))
    }

    func source(_ payload: JSONValue) throws -> SourceInfo {
      let source = payload["source"]
      let sequence = try JSONValue(try #require(source["sequence"].text).utf8).elements
      var place: TransactionPlace?
      if let id = payload["transaction"]["id"].text {
        place = TransactionPlace(
          id: try transactionID(id),
          totalOrder: try #require(payload["transaction"]["total_order"].integer),
          dataCollectionOrder: try #require(
            payload["transaction"]["data_collection_order"].integer))
      }
      func lsn(_ value: JSONValue) -> LSN? {
        value.text.flatMap { UInt64($0) }.map { LSN($0) }
      }
      return SourceInfo(
        database: try #require(source["db"].text), time: try #require(source["ts_us"].integer),
        snapshot: try #require(source["snapshot"].text.flatMap { SnapshotMarker(rawValue: $0) }),
        lastCommitLSN: lsn(sequence[0]), lsn: lsn(sequence[1]),
        xid: source["txId"].integer.map { UInt32($0) }, transaction: place)
    }

    func transactionID(_ text: String) throws -> TransactionID {
      let parts = text.split(separator: ":")
      return TransactionID(
        xid: try #require(UInt32(parts[0])), lsn: LSN(try #require(UInt64(parts[1]))))
    }

    /// The table as it was when the event was written: the fields say which columns it had.
    func table(_ event: RecordedEvents.Event, _ payload: JSONValue) throws -> TableSchema {
      let name = try #require(payload["source"]["table"].text)
      let fields = payload["after"].members.keys
      if name == "full_t", fields.contains("extra") {
        let columns = fields.contains("big") ? ["id", "a", "big", "extra"] : ["id", "a", "extra"]
        return try RecordedEvents.table(name, with: columns)
      }
      let table = try #require(tables[name])
      return name == "alltypes" && !fields.contains("c_gen")
        ? table.withoutGeneratedColumns() : table
    }

    /// A row's text. The small tables' is what the event shows; of `alltypes` the row of the
    /// catalogue, with the columns that each row has its own: id and the time of its insertion.
    func row(_ table: TableSchema, _ fields: JSONValue) throws -> [TupleColumn] {
      if table.name == "alltypes" { return try alltypesRow(table, fields) }
      return try table.columns.map { column in
        switch fields[column.name] {
        case .null: return .null
        case .string("__debezium_unavailable_value"): return .unchanged
        case .string("fQ=="): return .text(ArraySlice("1.25".utf8))
        case .string(let text): return .text(ArraySlice(text.utf8))
        case .number(let text): return .text(ArraySlice(text.utf8))
        case .object(let decimal):
          // numeric without a scale: 1.5 and 2.5 are all there are.
          let text = decimal["value"] == .string("Dw==") ? "1.5" : "2.5"
          return .text(ArraySlice(text.utf8))
        default: throw PostgresCluster.Failure(description: "no text for \(column.name)")
        }
      }
    }

    private func alltypesRow(
      _ table: TableSchema, _ fields: JSONValue
    ) throws -> [TupleColumn] {
      let id = try #require(fields["id"].integer)
      let all = try #require(tables["alltypes"])
      // Rows 1 and 4 are row.sql, 2 and 5 specials.sql, 3 has only defaults.
      let base = id % 3 == 1 ? alltypes[0] : alltypes[1]
      return try table.columns.map { column in
        let index = try #require(all.columns.firstIndex { $0.name == column.name })
        switch column.name {
        case "id": return .text(ArraySlice("\(id)".utf8))
        case "c_tstz_def":
          let time = try #require(fields[column.name].text)
          let text = time.replacing("T", with: " ").replacing("Z", with: "+00")
          return .text(ArraySlice(text.utf8))
        case "c_text" where id == 3: return .text(ArraySlice("dflt".utf8))
        case "c_i4", "c_gen": return base[index]
        default: return id == 3 ? .null : base[index]
        }
      }
    }
  }

  /// Fields of `alltypes` that are different on purpose (see `ValueKind`), in its rows and schema.
  private static let added: Set<String> = [
    "c_line", "c_lseg", "c_box", "c_path", "c_polygon", "c_circle", "c_i4multirange", "c_comp",
    "c_tsquery", "c_pglsn",
  ]

  /// What Debezium lost, put right in its own event, so that the rest can be compared whole.
  private func corrected(_ value: JSONValue) -> JSONValue {
    var value = value
    var after = value["after"]
    guard case .object = after, value["source"]["table"].text == "alltypes" else { return value }
    if after["id"] == .number("4") { after["c_name"] = .string("aname") }
    if after["c_2d"] == .array([.null, .null]) {
      after["c_2d"] = .array([
        .array([.number("1"), .number("2")]), .array([.number("3"), .number("4")]),
      ])
    }
    if case .number = after["c_date"], [2, 5].contains(after["id"].integer) {
      after["c_date"] = .number("2147483647")
    }
    value["after"] = after
    return value
  }

  /// Ours without the columns that Debezium leaves out.
  private func comparable(_ value: JSONValue) -> JSONValue {
    var value = value
    var after = value["after"]
    guard case .object = after else { return value }
    for name in Self.added { after.remove(name) }
    value["after"] = after
    return value
  }

  /// The schema of `alltypes` without the columns Debezium leaves out, and with its int[][] as
  /// int[].
  private func comparableSchema(_ schema: JSONValue) -> JSONValue {
    var schema = schema
    schema["fields"] = .array(
      schema["fields"].elements.map { field in
        guard field["name"] == .string("pg.inv.alltypes.Value") else { return field }
        var field = field
        field["fields"] = .array(
          field["fields"].elements.compactMap { column in
            guard let name = column["field"].text, !Self.added.contains(name) else { return nil }
            guard name == "c_2d", column["items"]["type"] == .string("array") else {
              return column
            }
            var column = column
            column["items"] = column["items"]["items"]
            return column
          })
        return field
      })
    return schema
  }

  private func expectSame(
    _ event: EncodedEvent, _ recorded: RecordedEvents.Event, isExact: Bool
  ) throws {
    let key = event.key.map { String(decoding: $0, as: UTF8.self) } ?? "null"
    #expect(key == recorded.key)
    let value = event.value.map { String(decoding: $0, as: UTF8.self) } ?? "null"
    if try recorded.payload["source"]["snapshot"] == .string("incremental") {
      // Debezium reads a clock with nanoseconds here, and gives a sequence but no position.
      #expect(
        withoutPosition(try JSONValue(value.utf8)) == withoutPosition(try recorded.valueJSON))
    } else if isExact {
      // Every byte, so the order of fields too.
      #expect(value == recorded.value)
    } else {
      try expectSameRow(try JSONValue(value.utf8), try recorded.valueJSON)
    }
  }

  private func withoutPosition(_ value: JSONValue) -> JSONValue {
    var value = value
    if value.members["payload"] != nil {
      value["payload"] = withoutPosition(value["payload"])
      return value
    }
    for name in ["sequence", "lsn", "ts_ns"] { value["source"].remove(name) }
    return value
  }

  private func expectSameRow(_ ours: JSONValue, _ theirs: JSONValue) throws {
    guard ours.members["payload"] != nil else {
      #expect(comparable(ours) == corrected(theirs))
      return
    }
    #expect(comparable(ours["payload"]) == corrected(theirs["payload"]))
    #expect(comparableSchema(ours["schema"]) == theirs["schema"])
  }

  @Test func `a snapshot's rows say where they stand as those that were recorded do`() throws {
    var rows: [(table: String, marker: String)] = []
    for event in try RecordedEvents.events("all-schemaless.ndjson") {
      let payload = try event.payload
      guard payload["op"].text == "r", let marker = payload["source"]["snapshot"].text,
        marker != "incremental"
      else { continue }
      rows.append((try #require(payload["source"]["table"].text), marker))
    }
    #expect(rows.count == 10)
    for (index, row) in rows.enumerated() {
      let marker = SnapshotMarker(
        isFirst: index == 0,
        isFirstOfTable: index == 0 || rows[index - 1].table != row.table,
        isLastOfTable: index == rows.count - 1 || rows[index + 1].table != row.table,
        isLast: index == rows.count - 1)
      #expect(marker.rawValue == row.marker, "row \(index), of \(row.table)")
    }
    // Not among those that were recorded.
    func marker(_ first: Bool, _ firstOfTable: Bool, _ lastOfTable: Bool, _ last: Bool) -> String {
      SnapshotMarker(
        isFirst: first, isFirstOfTable: firstOfTable, isLastOfTable: lastOfTable, isLast: last
      ).rawValue
    }
    #expect(marker(false, true, false, false) == "first_in_data_collection")
    #expect(marker(true, true, true, false) == "first")
    #expect(marker(true, true, true, true) == "last")
  }

  @Test(arguments: ["all-schemaless.ndjson", "all-with-schema.ndjson"])
  func `rows, tombstones, truncations, messages, transactions and heartbeats come out the same`(
    file: String
  ) throws {
    var replay = try Replay(schemas: file == "all-with-schema.ndjson")
    let events = try RecordedEvents.events(file)
    var compared: [String: Int] = [:]
    var index = 0
    while index < events.count {
      let event = events[index]
      let made: [EncodedEvent]
      let kind: String
      if event.topic == "pg.notifications" {
        // Notifications of a snapshot's progress are not capture's records.
        index += 1
        compared["notification", default: 0] += 1
        continue
      } else if event.topic == "__debezium-heartbeat.pg" {
        made = [replay.metadata.heartbeat(now: try #require(try event.payload["ts_ms"].integer))]
        kind = "heartbeat"
      } else if event.topic == "pg.transaction" {
        made = [try border(replay, event)]
        kind = "transaction"
      } else if event.topic == "pg.message" {
        made = [try message(replay, event)]
        kind = "message"
      } else {
        let next = events.dropFirst(index + 2).first
        made = try changed(&replay, event, next)
        kind = try #require(try event.payload["op"].text)
      }
      for (offset, record) in made.enumerated() {
        try expectSame(record, events[index + offset], isExact: event.topic != "pg.inv.alltypes")
        compared[kind, default: 0] += 1
      }
      index += made.count
    }
    // The runs differ in how many heartbeats they lasted.
    #expect(compared["r", default: 0] >= 11)
    #expect(compared["c", default: 0] >= 17)
    #expect(compared["u"] == 2)
    // Deletes count their tombstones, and the changed key its create.
    #expect(compared["d"] == 7)
    #expect(compared["t"] == 2)
    #expect(compared["message"] == 2)
    #expect(compared["transaction", default: 0] >= 40)
    #expect(compared["heartbeat", default: 0] >= 3)
    #expect(compared.values.reduce(0, +) == events.count)
  }

  private func border(_ replay: Replay, _ event: RecordedEvents.Event) throws -> EncodedEvent {
    let payload = try event.payload
    let id = try replay.transactionID(try #require(payload["id"].text))
    let time = try #require(payload["ts_ms"].integer) * 1000
    guard payload["status"] == .string("END") else { return replay.metadata.begin(id, time: time) }
    let counts = try payload["data_collections"].elements.map {
      (
        table: try #require($0["data_collection"].text),
        events: try #require($0["event_count"].integer)
      )
    }
    return replay.metadata.end(id, counts: counts, time: time)
  }

  private func message(_ replay: Replay, _ event: RecordedEvents.Event) throws -> EncodedEvent {
    let payload = try event.payload
    let content = try #require(
      payload["message"]["content"].text.flatMap { Data(base64Encoded: $0) })
    var encoded = replay.metadata.message(
      prefix: try #require(payload["message"]["prefix"].text), content: Array(content)[...],
      source: try replay.source(payload),
      now: try #require(payload["ts_ms"].integer) * 1_000_000)
    // One of them has no transaction.
    encoded.headers = []
    return encoded
  }

  private func changed(
    _ replay: inout Replay, _ event: RecordedEvents.Event, _ next: RecordedEvents.Event?
  ) throws -> [EncodedEvent] {
    let payload = try event.payload
    let table = try replay.table(event, payload)
    let source = try replay.source(payload)
    let now = try #require(payload["ts_ns"].integer)
    let after = payload["after"]
    let before = payload["before"]
    let change: Change
    switch payload["op"].text {
    case "r": change = .read(try replay.row(table, after))
    case "c": change = .create(try replay.row(table, after))
    case "u":
      let old = before == .null ? nil : OldTuple.full(try replay.row(table, before))
      change = .update(old: old, new: try replay.row(table, after))
    case "t": change = .truncate
    default:
      let row = try replay.row(table, before)
      let old = table.replicaIdentity == .full ? OldTuple.full(row) : .key(row)
      let created = try next?.payload
      guard created?["op"] == .string("c"), created?["source"]["lsn"] == payload["source"]["lsn"],
        let created
      else {
        change = .delete(old: old)
        break
      }
      // One update of the key made three records, and the last has a time of its own.
      let new = try replay.row(table, created["after"])
      var events = try replay.encoder.events(
        for: .update(old: old, new: new), of: table, source: source, now: now)
      #expect(events.count == 3)
      #expect(events[0].headers == [.init(name: "__debezium.newkey", value: events[2].key)])
      #expect(events[2].headers == [.init(name: "__debezium.oldkey", value: events[0].key)])
      let later = try #require(created["ts_ns"].integer)
      events[2] = try replay.encoder.events(
        for: .update(old: old, new: new), of: table, source: source, now: later)[2]
      return events
    }
    return try replay.encoder.events(for: change, of: table, source: source, now: now)
  }
}
