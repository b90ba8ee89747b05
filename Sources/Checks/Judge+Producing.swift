internal import Bytes

/// What is written and acknowledged: C1 to C3, C6, C7, C10, C14 and C15 as they happen.
extension Judge {
  func produceInvoked(
    _ operation: UInt64, _ number: Int32, _ producer: HistoryProducer?, _ records: [HistoryRecord]
  ) {
    begin(
      operation, .produce(partition: number, producer: producer, records: records, eventNumber))
    let partition = partition(number)
    report.recordsBegun += records.count
    availability.asked(number, time)
    var stream: Int32 = -1
    var sequence: Int32 = -1
    if let producer {
      let index = self.stream(producer, number)
      stream = Int32(index)
      sequence = producer.sequence
      if producer.id.rawValue < 0 {
        sequence = streams[index].begun
        streams[index].begun &+= Int32(truncatingIfNeeded: records.count)
      } else {
        producerIDSeen(producer.id, producer.epoch, process)
      }
    }
    for record in records {
      let before = values[record.value]
      guard record.value != 0, record.value != OffsetState.unseen, before.invoked == 0 else {
        malformed("value \(record.value) is not one that is written once")
        continue
      }
      let event = eventNumber
      values.change(record.value) {
        $0.status = .open
        $0.partition = number
        $0.crc = record.crc
        $0.stream = stream
        $0.sequence = sequence
        $0.floor = partition.known
        $0.invoked = event
      }
      sequence = sequence < 0 ? -1 : (sequence &+ 1) & .max
    }
  }

  private func stream(_ producer: HistoryProducer, _ partition: Int32) -> Int {
    let isSaid = producer.id.rawValue >= 0
    let key = StreamKey(
      process: isSaid ? -1 : process, id: producer.id.rawValue, epoch: producer.epoch.rawValue,
      partition: partition)
    if let known = streamNumbers[key] { return known }
    streamNumbers[key] = streams.count
    streams.append(StreamState(key: key))
    return streams.count - 1
  }

  func produceAnswered(_ operation: UInt64, _ outcome: HistoryEvent.ProduceOutcome) {
    guard let begun = end(operation) else { return }
    guard case .produce(let number, let producer, let records, let invoked) = begun else {
      malformed("an answer of another kind than what was asked")
      return
    }
    let partition = partition(number)
    availability.answered(number)
    switch outcome {
    case .unknown:
      report.recordsUnknown += records.count
      settle(records, .unknown)
    case .failed:
      report.recordsFailed += records.count
      for record in records {
        let state = values[record.value]
        guard state.seen != 0 else { continue }
        violated(.nothingRefusedIsSeen, number, state.offset, events: [state.invoked, state.seen]) {
          "value \(record.value) was seen at \(state.offset) before it was refused"
        }
      }
      settle(records, .failed)
    case .ok(let base, let epoch, let node):
      report.recordsAcknowledged += records.count
      gapEnded(partition)
      if node >= 0, epoch.rawValue >= 0 { led(partition, epoch, node) }
      guard base.rawValue >= 0 else { return settle(records, .acknowledged) }
      acknowledged(partition, records, base.rawValue, epoch.rawValue)
      if let producer, let first = records.first {
        acknowledgedInOrder(partition, first.value, records.count, base.rawValue)
        if producer.id.rawValue >= 0 {
          fenced(partition, producer, base.rawValue, records.count, invoked)
        }
      }
    }
  }

  private func settle(_ records: [HistoryRecord], _ status: ValueState.Status) {
    let event = eventNumber
    for record in records {
      values.change(record.value) {
        $0.status = status
        $0.answered = event
      }
    }
  }

  private func acknowledged(
    _ partition: PartitionState, _ records: [HistoryRecord], _ base: Int64, _ epoch: Int32
  ) {
    let event = eventNumber
    var offset = base
    for record in records {
      found(
        partition,
        Finding(offset: offset, value: record.value, crc: record.crc, epoch: epoch, .answer))
      values.change(record.value) {
        $0.status = .acknowledged
        $0.answered = event
        // Also if it was seen elsewhere before.
        $0.offset = offset
      }
      offset += 1
    }
    guard offset > base else { return }
    partition.know(offset - 1, event)
    if offset - 1 > partition.acknowledgedMax {
      partition.acknowledgedMax = offset - 1
      partition.acknowledgedEvent = event
    }
  }

  /// C7 among what was acknowledged. Answers may come in another order than the requests.
  private func acknowledgedInOrder(
    _ partition: PartitionState, _ value: UInt64, _ count: Int, _ offset: Int64
  ) {
    let state = values[value]
    guard state.stream >= 0, state.sequence >= 0 else { return }
    looked(at: .producerOrder)
    let index = Int(state.stream)
    let last = streams[index]
    if last.sequence >= 0, (state.sequence > last.sequence) != (offset > last.offset) {
      report.reordered += 1
      violated(.producerOrder, partition.number, offset, events: [last.event, state.invoked]) {
        "sequence \(state.sequence) is at \(offset), \(last.sequence) of the same producer"
          + " at \(last.offset)"
      }
    }
    guard state.sequence > last.sequence else { return }
    streams[index].sequence = state.sequence &+ Int32(truncatingIfNeeded: count - 1)
    streams[index].offset = offset + Int64(count - 1)
    streams[index].event = eventNumber
  }

  /// C15: what an older epoch was acknowledged, it has written before the newer one wrote.
  private func fenced(
    _ partition: PartitionState, _ producer: HistoryProducer, _ base: Int64, _ count: Int,
    _ invoked: UInt32
  ) {
    looked(at: .zombiesAreFenced)
    let epoch = producer.epoch.rawValue
    let last = base + Int64(count) - 1
    guard var fence = partition.fences[producer.id.rawValue] else {
      partition.fences[producer.id.rawValue] = FenceState(
        epoch: epoch, event: eventNumber, lowest: base)
      return
    }
    if epoch < fence.epoch {
      if invoked > fence.event || last > fence.lowest {
        violated(.zombiesAreFenced, partition.number, base, events: [fence.event, invoked]) {
          "producer \(producer.id.rawValue) was acknowledged \(base) in epoch \(epoch),"
            + " and before \(fence.lowest) in epoch \(fence.epoch)"
        }
      }
      fence.highestBefore = max(fence.highestBefore, last)
    } else if epoch == fence.epoch {
      fence.lowest = min(fence.lowest, base)
    } else {
      let before = max(fence.highestBefore, fence.lowest)
      fence = FenceState(epoch: epoch, event: eventNumber, lowest: base, highestBefore: before)
    }
    if fence.highestBefore > fence.lowest, epoch == fence.epoch {
      violated(.zombiesAreFenced, partition.number, base, events: [fence.event, invoked]) {
        "producer \(producer.id.rawValue) was acknowledged \(base) in epoch \(epoch), and"
          + " \(fence.highestBefore) in an older one"
      }
    }
    partition.fences[producer.id.rawValue] = fence
  }

  // MARK: Producer ids

  func producerIDGiven(_ id: ProducerID, _ epoch: ProducerEpoch, _ isBump: Bool) {
    looked(at: .producerIDsAreUnique)
    if let before = producerIDs.give(id, epoch, to: process, isBump: isBump, eventNumber) {
      violated(.producerIDsAreUnique, events: [before]) {
        "producer id \(id.rawValue) with epoch \(epoch.rawValue) is given a second time"
      }
    }
  }

  /// Somebody writes with it.
  func producerIDSeen(_ id: ProducerID, _ epoch: ProducerEpoch, _ process: Int32) {
    looked(at: .producerIDsAreUnique)
    if let before = producerIDs.use(id, epoch, by: process, eventNumber) {
      violated(.producerIDsAreUnique, events: [before.event]) {
        "processes \(before.process) and \(process) write as producer \(id.rawValue)"
          + " in epoch \(epoch.rawValue)"
      }
    }
  }

  // MARK: Leaders

  func led(_ partition: PartitionState, _ epoch: LeaderEpoch, _ node: Int32) {
    looked(at: .oneLeaderPerEpoch)
    availability.led(partition.number, epoch, node)
    guard let known = partition.leaders[epoch.rawValue] else {
      partition.leaders[epoch.rawValue] = (node, eventNumber)
      return
    }
    guard known.node != node else { return }
    violated(.oneLeaderPerEpoch, partition.number, events: [known.event]) {
      "nodes \(known.node) and \(node) both lead in epoch \(epoch.rawValue)"
    }
  }
}

/// C14: who has which producer id.
struct ProducerIDs {
  private struct Key: Hashable {
    var id: Int64
    var epoch: Int16
  }

  private var given: [Key: UInt32] = [:]
  private var first: [Int64: UInt32] = [:]
  private var users: [Key: Owner] = [:]

  /// The event that gave it before, if it may not be given again.
  mutating func give(
    _ id: ProducerID, _ epoch: ProducerEpoch, to process: Int32, isBump: Bool, _ event: UInt32
  ) -> UInt32? {
    let key = Key(id: id.rawValue, epoch: epoch.rawValue)
    let before = given[key] ?? (isBump ? nil : first[id.rawValue])
    given[key] = event
    if first[id.rawValue] == nil { first[id.rawValue] = event }
    return before
  }

  mutating func use(
    _ id: ProducerID, _ epoch: ProducerEpoch, by process: Int32, _ event: UInt32
  ) -> Owner? {
    let key = Key(id: id.rawValue, epoch: epoch.rawValue)
    guard let known = users[key] else {
      users[key] = Owner(process: process, event: event)
      return nil
    }
    return known.process == process ? nil : known
  }
}
