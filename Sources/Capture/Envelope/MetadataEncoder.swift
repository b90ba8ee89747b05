internal import ConnectData
internal import JSON

/// Records beside the tables: logical messages, the borders of transactions, heartbeats.
///
/// Topics, as Debezium names them: `prefix.message`, `prefix.transaction`,
/// `__debezium-heartbeat.prefix`.
package struct MetadataEncoder: Sendable {
  private let options: EnvelopeOptions
  private let messageKeyHead: [UInt8]
  private let messageHead: [UInt8]
  private let transactionKeyHead: [UInt8]
  private let transactionHead: [UInt8]
  private let heartbeatKeyHead: [UInt8]
  private let heartbeatHead: [UInt8]
  private let sourceHead: [UInt8]
  private let sourceTable: [UInt8]

  package init(options: EnvelopeOptions) {
    func key(_ schema: ConnectSchema) -> [UInt8] {
      options.keySchemas ? TablePlan.head(schema) : []
    }
    func value(_ schema: ConnectSchema) -> [UInt8] {
      options.valueSchemas ? TablePlan.head(schema) : []
    }
    self.options = options
    messageKeyHead = key(EnvelopeSchemas.messageKey)
    messageHead = value(EnvelopeSchemas.messageValue)
    transactionKeyHead = key(EnvelopeSchemas.transactionKey)
    transactionHead = value(EnvelopeSchemas.transactionValue)
    heartbeatKeyHead = key(EnvelopeSchemas.heartbeatKey)
    heartbeatHead = value(EnvelopeSchemas.heartbeatValue)
    sourceHead = TablePlan.sourceHead(options)
    sourceTable = TablePlan.sourceTable(namespace: "", table: "")
  }

  package var messageTopic: String { "\(options.topicPrefix).message" }
  package var transactionTopic: String { "\(options.topicPrefix).\(options.transactionTopic)" }
  package var heartbeatTopic: String { "\(options.heartbeatPrefix).\(options.topicPrefix)" }

  /// `pg_logical_emit_message`. `now`: nanoseconds since 1970-01-01 UTC.
  package func message(
    prefix: String, content: ArraySlice<UInt8>, source: SourceInfo, now: Int64
  ) -> EncodedEvent {
    let key = Self.text(messageKeyHead) { json in
      json.raw("{\"prefix\":")
      json.string(prefix)
      json.raw("}")
    }
    let value = Self.text(messageHead) { json in
      json.raw("{\"op\":\"m\",\"ts_ms\":")
      json.integer(now / 1_000_000)
      json.raw(",")
      source.write(sourceHead, sourceTable, to: &json)
      json.raw(",")
      source.writeTransaction(to: &json)
      json.raw(",\"message\":{\"prefix\":")
      json.string(prefix)
      json.raw(",\"content\":")
      json.base64(content)
      json.raw("}}")
    }
    return EncodedEvent(key: key, value: value)
  }

  /// `time`: of the commit, microseconds since 1970-01-01 UTC.
  package func begin(_ id: TransactionID, time: Int64) -> EncodedEvent {
    border("BEGIN", id, time) { json in
      json.raw("null,\"data_collections\":null")
    }
  }

  /// `counts`: events by table (`schema.table`), in any order.
  package func end(
    _ id: TransactionID, counts: [(table: String, events: Int64)], time: Int64
  ) -> EncodedEvent {
    border("END", id, time) { json in
      json.integer(counts.reduce(0) { $0 + $1.events })
      json.raw(",\"data_collections\":[")
      for (index, count) in counts.enumerated() {
        if index > 0 { json.raw(",") }
        json.raw("{\"data_collection\":")
        json.string(count.table)
        json.raw(",\"event_count\":")
        json.integer(count.events)
        json.raw("}")
      }
      json.raw("]")
    }
  }

  /// `now`: milliseconds since 1970-01-01 UTC.
  package func heartbeat(now: Int64) -> EncodedEvent {
    let key = Self.text(heartbeatKeyHead) { json in
      json.raw("{\"serverName\":")
      json.string(options.topicPrefix)
      json.raw("}")
    }
    let value = Self.text(heartbeatHead) { json in
      json.raw("{\"ts_ms\":")
      json.integer(now)
      json.raw("}")
    }
    return EncodedEvent(key: key, value: value)
  }

  private func border(
    _ status: String, _ id: TransactionID, _ time: Int64, _ counts: (inout JSONText) -> Void
  ) -> EncodedEvent {
    let key = Self.text(transactionKeyHead) { json in
      json.raw("{\"id\":\"")
      id.write(to: &json)
      json.raw("\"}")
    }
    let value = Self.text(transactionHead) { json in
      json.raw("{\"status\":\"\(status)\",\"id\":\"")
      id.write(to: &json)
      json.raw("\",\"event_count\":")
      counts(&json)
      json.raw(",\"ts_ms\":")
      json.integer(time / 1000)
      json.raw("}")
    }
    return EncodedEvent(key: key, value: value)
  }

  private static func text(_ head: [UInt8], _ write: (inout JSONText) -> Void) -> [UInt8] {
    var json = JSONText(capacity: head.count + 256)
    json.raw(head)
    write(&json)
    if !head.isEmpty { json.byte(UInt8(ascii: "}")) }
    return json.take()
  }
}
