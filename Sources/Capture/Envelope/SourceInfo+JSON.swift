internal import JSON

extension SourceInfo {
  /// `"source":{…}`, around the parts that a table or a connector has once.
  func write(_ head: [UInt8], _ table: [UInt8], to json: inout JSONText) {
    json.raw(head)
    json.integer(time / 1000)
    json.raw(",\"snapshot\":\"")
    json.raw(snapshot.rawValue)
    json.raw("\",\"db\":")
    json.string(database)
    json.raw(",\"sequence\":")
    writeSequence(to: &json)
    json.raw(",\"ts_us\":")
    json.integer(time)
    json.raw(",\"ts_ns\":")
    let (nanoseconds, overflow) = time.multipliedReportingOverflow(by: 1000)
    json.integer(overflow ? (time < 0 ? .min : .max) : nanoseconds)
    json.raw(table)
    Self.write(xid.map { Int64($0) }, to: &json)
    json.raw(",\"lsn\":")
    Self.write(lsn, to: &json)
    json.raw(",\"xmin\":")
    Self.write(xmin, to: &json)
    json.raw(",\"origin\":")
    if let origin { json.string(origin) } else { json.null() }
    json.raw(",\"origin_lsn\":")
    Self.write(originLSN, to: &json)
    json.raw("}")
  }

  /// A JSON array inside a string: the last commit and this change.
  func writeSequence(to json: inout JSONText) {
    json.raw("\"[")
    Self.writeQuoted(lastCommitLSN, to: &json)
    json.raw(",")
    Self.writeQuoted(lsn, to: &json)
    json.raw("]\"")
  }

  /// `"transaction":{…}`
  func writeTransaction(to json: inout JSONText) {
    json.raw("\"transaction\":")
    guard let transaction else { return json.null() }
    json.raw("{\"id\":\"")
    transaction.id.write(to: &json)
    json.raw("\",\"total_order\":")
    json.integer(transaction.totalOrder)
    json.raw(",\"data_collection_order\":")
    json.integer(transaction.dataCollectionOrder)
    json.raw("}")
  }

  static func write(_ lsn: LSN?, to json: inout JSONText) {
    if let lsn { json.unsigned(lsn.rawValue) } else { json.null() }
  }

  static func write(_ number: Int64?, to json: inout JSONText) {
    if let number { json.integer(number) } else { json.null() }
  }

  private static func writeQuoted(_ lsn: LSN?, to json: inout JSONText) {
    guard let lsn else { return json.null() }
    json.raw("\\\"")
    json.unsigned(lsn.rawValue)
    json.raw("\\\"")
  }
}

extension TransactionID {
  func write(to json: inout JSONText) {
    json.unsigned(UInt64(xid))
    json.raw(":")
    json.unsigned(lsn.rawValue)
  }
}
