/// A value that somebody found at an offset.
struct Finding {
  enum Source { case answer, poll, final }

  var offset: Int64
  var value: UInt64
  var crc: UInt32
  /// -1 if not known.
  var epoch: Int32
  var source: Source
  /// In `OffsetState.readers`.
  var readerBit: UInt32 = 0

  init(
    offset: Int64, value: UInt64, crc: UInt32, epoch: Int32, _ source: Source,
    readerBit: UInt32 = 0
  ) {
    self.offset = offset
    self.value = value
    self.crc = crc
    self.epoch = epoch
    self.source = source
    self.readerBit = readerBit
  }
}

/// What every acknowledgement, poll and final read says alike: this value is at this offset.
extension Judge {
  func found(_ partition: PartitionState, _ finding: Finding) {
    let event = eventNumber
    looked(at: .oneValuePerOffset)
    if finding.epoch >= 0 { looked(at: .oneLeaderPerEpoch) }
    if finding.source != .answer { looked(at: .nothingRefusedIsSeen) }
    var clash: OffsetState?
    var otherEpoch: Int32?
    let isFirst = partition.offsets.change(UInt64(bitPattern: finding.offset)) { state in
      if state.value == OffsetState.unseen {
        state.value = finding.value
        state.crc = finding.crc
        state.epoch = finding.epoch
        state.event = event
        state.readers = finding.readerBit
        return true
      }
      if finding.epoch >= 0 {
        if state.epoch < 0 { state.epoch = finding.epoch }
        if state.epoch != finding.epoch { otherEpoch = state.epoch }
      }
      if state.value != finding.value {
        clash = state
      } else if state.crc == finding.crc, otherEpoch == nil {
        state.readers |= finding.readerBit
      }
      return false
    }
    if let clash {
      violated(.oneValuePerOffset, partition.number, finding.offset, events: [clash.event]) {
        "offset \(finding.offset) has value \(finding.value), and had \(clash.value)"
      }
    }
    if let otherEpoch {
      violated(.oneLeaderPerEpoch, partition.number, finding.offset) {
        "offset \(finding.offset) is of epoch \(finding.epoch), and was of \(otherEpoch)"
      }
    }
    // A control record has no value.
    guard finding.value != 0 else { return }
    found(partition, finding, isFirstThere: isFirst, clashes: clash != nil)
  }

  /// One that clashes is not there for the other checks: a violation is not told three times.
  private func found(
    _ partition: PartitionState, _ finding: Finding, isFirstThere: Bool, clashes: Bool
  ) {
    let before = values[finding.value]
    guard before.status != .unwritten else {
      violated(.nothingRefusedIsSeen, partition.number, finding.offset) {
        "value \(finding.value) at \(finding.offset) was never written"
      }
      return
    }
    if before.stream >= 0 { looked(at: .oneOffsetPerValue) }
    if before.floor >= 0 { looked(at: .realTimeOrder) }
    if finding.source != .answer { seen(partition, finding, before, clashes: clashes) }
    guard partition.number == before.partition else {
      violated(.oneOffsetPerValue, partition.number, finding.offset, events: [before.invoked]) {
        "value \(finding.value) was written to partition \(before.partition)"
      }
      return
    }
    if before.offset < 0 {
      if clashes { return }
      values.change(finding.value) { $0.offset = finding.offset }
    } else if before.offset != finding.offset, isFirstThere || before.stream >= 0 {
      if isFirstThere { report.duplicated += 1 }
      if before.stream >= 0 {
        violated(
          .oneOffsetPerValue, partition.number, finding.offset,
          events: [before.invoked, before.answered, before.seen]
        ) { "value \(finding.value) is at \(finding.offset) and at \(before.offset)" }
      }
    }
    // A copy of one that is not idempotent may be as late as it likes, but not early.
    if finding.offset <= before.floor, before.offset != finding.offset, !clashes {
      report.reordered += 1
      violated(.realTimeOrder, partition.number, finding.offset, events: [before.invoked]) {
        "value \(finding.value) is at \(finding.offset), and when it was begun"
          + " \(before.floor) was there already"
      }
    }
  }

  private func seen(
    _ partition: PartitionState, _ finding: Finding, _ before: ValueState, clashes: Bool
  ) {
    // What only a final read finds has not been seen before it.
    if before.seen == 0, finding.source == .poll, !clashes {
      let event = eventNumber
      values.change(finding.value) { $0.seen = event }
    }
    if before.status == .failed {
      violated(
        .nothingRefusedIsSeen, partition.number, finding.offset,
        events: [before.invoked, before.answered]
      ) { "value \(finding.value) at \(finding.offset) was refused" }
    }
    if before.crc != finding.crc {
      let check: Check = finding.source == .poll ? .fetchesAreContiguous : .acknowledgedIsThere
      violated(check, partition.number, finding.offset, events: [before.invoked]) {
        "value \(finding.value) at \(finding.offset) has other bytes than were written:"
          + " CRC \(finding.crc), not \(before.crc)"
      }
    }
  }
}
