internal import Bytes

/// What is there in the end: C4 and C5 whole, and what only the whole log shows of C7 to C10, C15
/// and C16.
extension Judge {
  func finalRead(
    _ reader: Int32, _ partition: PartitionState, _ producer: HistoryProducer?,
    _ records: [SeenRecord]
  ) {
    guard let bit = partition.bit(of: reader) else {
      malformed("more than 31 replicas")
      return
    }
    for record in records {
      if reader == 0 { partition.readFinally(record.offset.rawValue, self) }
      found(
        partition,
        Finding(
          offset: record.offset.rawValue, value: record.value, crc: record.crc,
          epoch: record.epoch.rawValue, .final, readerBit: bit))
    }
    if let producer, producer.id.rawValue >= 0, let first = records.first, first.value != 0 {
      header(reader, partition, producer, first, records.count)
    }
  }

  /// A batch says who wrote it. Batches of a replica are found in the order of its files.
  private func header(
    _ reader: Int32, _ partition: PartitionState, _ producer: HistoryProducer,
    _ first: SeenRecord, _ count: Int
  ) {
    let stream = values[first.value].stream
    if stream >= 0, streams[Int(stream)].key.process >= 0 {
      producerIDSeen(producer.id, producer.epoch, streams[Int(stream)].key.process)
    }
    let key = HeaderKey(reader: reader, id: producer.id.rawValue)
    let epoch = producer.epoch.rawValue
    let id = producer.id.rawValue
    looked(at: .zombiesAreFenced)
    looked(at: .producerOrder)
    if let before = partition.headers[key] {
      if epoch < before.epoch {
        violated(
          .zombiesAreFenced, partition.number, first.offset.rawValue, events: [before.event]
        ) {
          "producer \(id) wrote \(first.offset.rawValue) in epoch \(epoch), after"
            + " \(before.offset) in epoch \(before.epoch)"
        }
      } else if epoch == before.epoch, producer.sequence != before.next, !partition.isCompacted {
        violated(.producerOrder, partition.number, first.offset.rawValue, events: [before.event]) {
          "producer \(id) wrote sequence \(producer.sequence) at \(first.offset.rawValue),"
            + " and \(before.next) follows \(before.offset)"
        }
      }
    }
    partition.headers[key] = HeaderState(
      epoch: epoch, next: (producer.sequence &+ Int32(truncatingIfNeeded: count)) & .max,
      offset: first.offset.rawValue, event: eventNumber)
  }

  func finalHash(
    _ node: Int32, _ partition: PartitionState, _ start: Int64, _ end: Int64, _ hash: UInt64
  ) {
    let key = HashKey(start: start, end: end)
    guard let known = partition.hashes[key] else {
      partition.hashes[key] = (node, hash, eventNumber)
      return
    }
    if known.node != node { looked(at: .replicasAreEqual) }
    guard known.hash != hash else { return }
    violated(.replicasAreEqual, partition.number, start, events: [known.event]) {
      "bytes of \(start)..<\(end) are not the same on nodes \(known.node) and \(node)"
    }
  }

  // MARK: Values

  func finishValues() {
    for case .produce(_, _, let records, _) in operations.values {
      report.recordsUnknown += records.count
    }
    var missing: Set<Int32> = []
    values.forEach { value, state in
      guard state.status == .acknowledged || (state.seen != 0 && state.status != .failed),
        let partition = partitions[state.partition]
      else { return }
      guard let (range, bits) = finalOracle(partition) else {
        missing.insert(partition.number)
        return
      }
      if state.status == .acknowledged { looked(at: .acknowledgedIsThere) }
      if state.seen != 0 { looked(at: .seenStays) }
      // One whose offset nobody has said may have been below the start, too.
      if state.offset < range.start, range.start > 0, partition.trims {
        report.trimmed += 1
        return
      }
      if partition.isCompacted { return }
      let place = state.offset < 0 ? "" : " at \(state.offset)"
      if state.offset >= 0 {
        let found = partition.offsets[UInt64(bitPattern: state.offset)]
        if found.value == value, found.readers & bits != 0 { return }
      }
      report.lost += 1
      let isAcknowledged = state.status == .acknowledged
      violated(
        isAcknowledged ? .acknowledgedIsThere : .seenStays, partition.number, state.offset,
        events: [state.invoked, isAcknowledged ? state.answered : state.seen, range.event]
      ) {
        "value \(value) was \(isAcknowledged ? "acknowledged" : "seen")\(place) and is"
          + " not there in the end (\(range.start)..<\(range.end))"
      }
    }
    for number in missing.sorted() {
      report.unjudged.append("partition \(number): no final read")
    }
  }

  /// What says what is there: the client's read, or else that of any node.
  private func finalOracle(_ partition: PartitionState) -> (FinalRange, bits: UInt32)? {
    if let range = partition.ranges[0] { return (range, 1) }
    guard let reader = partition.ranges.keys.min(), let range = partition.ranges[reader] else {
      return nil
    }
    return (range, ~1)
  }

  // MARK: Offsets

  func finishOffsets(_ partition: PartitionState) {
    guard let (range, _) = finalOracle(partition) else { return }
    if partition.known >= 0 { looked(at: .watermarksGoForward) }
    if partition.ranges.keys.count(where: { $0 != 0 }) > 1 { looked(at: .replicasAreEqual) }
    if range.end <= partition.known {
      violated(
        .watermarksGoForward, partition.number, range.end,
        events: [partition.knownEvent, range.event]
      ) { "the end is \(range.end), and \(partition.known) was there once" }
    }
    finishRanges(partition)
    let nodes = partition.ranges.filter { $0.key != 0 }.sorted { $0.key < $1.key }.compactMap {
      entry in partition.bit(of: entry.key).map { (bit: $0, range: entry.value) }
    }
    if let client = partition.ranges[0] { partition.endFinally(client, self) }
    var epoch: Int32 = -1
    var epochEvent: UInt32 = 0
    partition.offsets.forEach { number, found in
      guard found.value != OffsetState.unseen else { return }
      let offset = Int64(bitPattern: number)
      finishReplicas(partition, offset, found, nodes)
      if found.epoch >= 0 {
        if found.epoch < epoch {
          violated(
            .oneLeaderPerEpoch, partition.number, offset, events: [epochEvent, found.event]
          ) { "offset \(offset) is of epoch \(found.epoch), one before it of \(epoch)" }
        }
        epoch = found.epoch
        epochEvent = found.event
      }
      if found.readers != 0 { finishStream(partition, offset, found) }
    }
  }

  /// In the end all have the same range. Where logs trim themselves, each begins where it likes.
  private func finishRanges(_ partition: PartitionState) {
    let ranges = partition.ranges.sorted { $0.key < $1.key }
    guard let first = ranges.first else { return }
    for other in ranges.dropFirst()
    where other.value.end != first.value.end
      || (other.value.start != first.value.start && !partition.trims)
    {
      violated(
        .replicasAreEqual, partition.number, other.value.end,
        events: [first.value.event, other.value.event]
      ) {
        "reader \(first.key) has \(first.value.start)..<\(first.value.end), reader \(other.key)"
          + " \(other.value.start)..<\(other.value.end)"
      }
    }
  }

  private func finishReplicas(
    _ partition: PartitionState, _ offset: Int64, _ found: OffsetState,
    _ nodes: [(bit: UInt32, range: FinalRange)]
  ) {
    var covering: UInt32 = 0
    for node in nodes where offset >= node.range.start && offset < node.range.end {
      covering |= node.bit
    }
    // In none of them: then it is lost (C4, C5), or there is another in its place (C1).
    guard found.readers != 0, found.readers & covering != covering else { return }
    // Compaction is each node's own affair.
    guard !partition.isCompacted else { return }
    let without = partition.readers.filter {
      guard let bit = partition.bit(of: $0) else { return false }
      return covering & ~found.readers & bit != 0
    }
    violated(.replicasAreEqual, partition.number, offset, events: [found.event]) {
      "offset \(offset) is not on \(without.map { "node \($0)" }.joined(separator: ", ")) as"
        + " it is elsewhere"
    }
  }

  /// C7 of everything that is there, in the order of offsets.
  private func finishStream(_ partition: PartitionState, _ offset: Int64, _ found: OffsetState) {
    let state = values[found.value]
    guard found.value != 0, state.stream >= 0, state.sequence >= 0, state.offset == offset,
      state.partition == partition.number
    else { return }
    let index = Int(state.stream)
    let before = streams[index]
    let next = (before.finalSequence &+ 1) & .max
    if before.finalSequence >= 0, !partition.isCompacted || state.sequence < next {
      let isBack = state.sequence < next && next != 0
      if isBack || (before.isSaid && state.sequence != next) {
        if isBack { report.reordered += 1 }
        violated(.producerOrder, partition.number, offset, events: [state.invoked, found.event]) {
          "sequence \(state.sequence) is at \(offset), after \(before.finalSequence)"
            + " of the same producer at \(before.finalOffset)"
        }
      }
    }
    streams[index].finalSequence = state.sequence
    streams[index].finalOffset = offset
  }
}

/// C8 of the client that reads all there is.
extension PartitionState {
  fileprivate func readFinally(_ offset: Int64, _ judge: Judge) {
    defer { finalNext = offset + 1 }
    judge.looked(at: .fetchesAreContiguous)
    guard let finalNext else {
      finalFirst = offset
      return
    }
    if offset != finalNext, !(isCompacted && offset > finalNext) {
      judge.violated(.fetchesAreContiguous, number, offset) {
        "the final read is given \(offset) after \(finalNext - 1)"
      }
    }
  }

  fileprivate func endFinally(_ range: FinalRange, _ judge: Judge) {
    guard !isCompacted else { return }
    let (first, next) = (finalFirst ?? range.start, finalNext ?? range.start)
    guard first != range.start || next != range.end else { return }
    judge.violated(.fetchesAreContiguous, number, next, events: [range.event]) {
      "the final read is given \(first)..<\(next) of \(range.start)..<\(range.end)"
    }
  }
}
