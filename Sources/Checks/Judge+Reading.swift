internal import Bytes

/// What clients and nodes are shown: C8, C9 and C17 as they happen.
extension Judge {
  /// Offsets between two that were read which are looked at one by one.
  private static var skippedMax: Int64 { 1024 }

  func positioned(_ partition: Int32, _ offset: Int64) {
    readers[ViewKey(process: process, partition: partition)] = ReaderState(
      next: offset, event: eventNumber)
  }

  func polled(_ number: Int32, _ records: [SeenRecord], _ highWatermark: Int64) {
    let partition = partition(number)
    let key = ViewKey(process: process, partition: number)
    var reader = readers[key] ?? ReaderState(next: -1, event: 0)
    if !records.isEmpty { looked(at: .fetchesAreContiguous) }
    for record in records {
      let offset = record.offset.rawValue
      if reader.next >= 0, offset != reader.next { jumped(partition, from: reader, to: offset) }
      if highWatermark >= 0, offset >= highWatermark {
        violated(.fetchesAreContiguous, number, offset) {
          "offset \(offset) is read, and the high watermark is \(highWatermark)"
        }
      }
      found(
        partition,
        Finding(
          offset: offset, value: record.value, crc: record.crc, epoch: record.epoch.rawValue,
          .poll))
      partition.know(offset, eventNumber)
      reader = ReaderState(next: offset + 1, event: eventNumber)
    }
    report.recordsPolled += records.count
    readers[key] = reader
    partition.know(highWatermark - 1, eventNumber)
  }

  private func jumped(_ partition: PartitionState, from reader: ReaderState, to offset: Int64) {
    if offset < reader.next {
      violated(.fetchesAreContiguous, partition.number, offset, events: [reader.event]) {
        "a reader is given \(offset) after \(reader.next - 1)"
      }
      return
    }
    if partition.isCompacted { return }
    let between = reader.next..<offset
    // Control records are not shown to programs.
    if between.count <= Self.skippedMax,
      between.allSatisfy({ partition.offsets[UInt64(bitPattern: $0)].value == 0 })
    {
      return
    }
    violated(.fetchesAreContiguous, partition.number, offset, events: [reader.event]) {
      "a reader is given \(offset) after \(reader.next - 1): \(between.count) are skipped"
    }
  }

  func endAnswered(_ operation: UInt64, _ offset: Int64?) {
    guard let begun = end(operation) else { return }
    guard case .end(let number, let floor) = begun else {
      malformed("an answer of another kind than what was asked")
      return
    }
    guard let offset else { return }
    looked(at: .watermarksGoForward)
    let partition = partition(number)
    if offset <= floor {
      violated(.watermarksGoForward, number, offset, events: [partition.knownEvent]) {
        "the end is said to be \(offset); \(floor) was there before the question"
      }
    }
    partition.know(offset - 1, eventNumber)
  }

  func watermarksSeen(_ number: Int32, _ now: Watermarks) {
    looked(at: .watermarksGoForward)
    let partition = partition(number)
    let key = ViewKey(process: process, partition: number)
    if now.high.rawValue >= 0 { partition.know(now.high.rawValue - 1, eventNumber) }
    var latest = now
    if let before = views[key] {
      // From a leader that was, which does not know it: clients take no notice.
      if now.epoch.rawValue >= 0, now.epoch < before.watermarks.epoch { return }
      latest.epoch = max(now.epoch, before.watermarks.epoch)
      for (name, field) in Self.fields {
        let (old, new) = (before.watermarks[keyPath: field], now[keyPath: field])
        if new.rawValue < 0 {
          latest[keyPath: field] = old
        } else if new < old {
          violated(.watermarksGoForward, number, new.rawValue, events: [before.event]) {
            "the \(name) goes back from \(old.rawValue) to \(new.rawValue)"
          }
        }
      }
    }
    if now.high.rawValue >= 0, max(now.start, now.stable) > now.high {
      violated(.watermarksGoForward, number, now.high.rawValue) {
        "log start \(now.start.rawValue) or last stable offset \(now.stable.rawValue) is above"
          + " the high watermark \(now.high.rawValue)"
      }
    }
    views[key] = ViewState(watermarks: latest, event: eventNumber)
  }

  private static var fields: [(String, WritableKeyPath<Watermarks, Offset>)] {
    [("high watermark", \.high), ("last stable offset", \.stable), ("log start", \.start)]
  }

  func durable(_ number: Int32, _ ends: [Int64], _ quorum: Int) {
    let partition = partition(number)
    let sorted = ends.sorted(by: >)
    guard quorum > 0, quorum <= sorted.count else {
      malformed("\(quorum) of \(sorted.count) disks")
      return
    }
    looked(at: .acknowledgedIsDurable)
    let durable = sorted[quorum - 1]
    guard partition.acknowledgedMax >= durable else { return }
    violated(
      .acknowledgedIsDurable, number, partition.acknowledgedMax,
      events: [partition.acknowledgedEvent]
    ) {
      "\(partition.acknowledgedMax) was acknowledged, and \(quorum) disks have"
        + " what is below \(durable)"
    }
  }
}
