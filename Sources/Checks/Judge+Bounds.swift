internal import Bytes

/// What is held against a limit: C18, C19 and C20.
extension Judge {
  /// Codes that Kafka 4.1 has names for, but UNKNOWN_SERVER_ERROR, which says nothing.
  private static var namedErrors: ClosedRange<Int32> { 0...133 }

  func gapEnded(_ partition: PartitionState) {
    judge(availability.acknowledged(partition.number, time), partition.number)
  }

  func finishGaps() {
    for (partition, gap) in availability.endOpenGaps(time) {
      judge(gap, partition)
    }
  }

  private func judge(_ gap: UInt64, _ partition: Int32) {
    guard let bound = options.longestGapMax, gap > bound else { return }
    let kinds = availability.kindsNow
    violated(.isAvailable, partition, events: [availability.lastFaultEvent]) {
      "nothing is acknowledged for \(gap / 1_000_000) ms with a majority well"
        + (kinds.isEmpty ? "" : ", while there is " + kinds.joined(separator: ", "))
    }
  }

  func table(_ key: TableKey, _ isSource: Bool, _ rows: UInt64, _ hash: UInt64) {
    guard let other = tables[key], other.isSource != isSource else {
      tables[key] = TableState(rows: rows, hash: hash, isSource: isSource, event: eventNumber)
      return
    }
    tables[key]?.isCompared = true
    if other.rows != rows || other.hash != hash {
      violated(.tablesAreConserved, events: [other.event]) {
        "table \(key.name) at \(key.position) has \(isSource ? rows : other.rows) rows,"
          + " and \(isSource ? other.rows : rows) by the log"
          + (other.rows == rows ? ", with other content" : "")
      }
    }
  }

  func finishTables() {
    for key in tables.keys.sorted() where tables[key]?.isCompared == false {
      report.unjudged.append("table \(key.name) at \(key.position): one side only")
    }
  }

  func resourcesSeen(_ node: Int32, _ now: Resources) {
    guard let limits else { return }
    looked(at: .resourcesAreBounded)
    let fields: [(String, Int64, Int64)] = [
      ("bytes of memory", now.memoryBytes, limits.memoryBytes),
      ("descriptors", now.descriptors, limits.descriptors),
      ("threads", now.threads, limits.threads),
      ("bytes of disk", now.diskBytes, limits.diskBytes),
    ]
    for (name, value, limit) in fields where limit >= 0 && value > limit {
      violated(.resourcesAreBounded) { "node \(node) has \(value) \(name), not \(limit) at most" }
    }
  }

  func errorCode(_ code: Int32) {
    guard !Self.namedErrors.contains(code) else { return }
    violated(.resourcesAreBounded) { "process \(process) was told error code \(code)" }
  }
}
