internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// A part of a produce request that waits for its partition.
struct HeldBatch {
  let operation: ProduceOperation
  let topic: Int
  let partition: Int
  /// Milliseconds of the steady clock.
  let since: Int64
}

/// Batches that are neither taken nor refused for the moment, by log and in order: a client that is
/// refused looks for the leader anew and waits before it tries again, for longer than all this
/// takes.
///
/// Bounded by the server's bound on unanswered requests.
extension Node {
  /// For how long the next leader of a partition is waited for, to be told to clients.
  private static let heldMilliseconds: Int64 = 250

  /// Not while its partition is handed over, and an idempotent producer's not before it is known
  /// who is fenced; and not before what came first.
  func mustHold(_ header: RecordBatchHeader, _ replica: Replica) -> Bool {
    guard !options.cluster.isAlone else { return false }
    return heldBatches[replica.log] != nil || !isOpen(replica, isProducers: header.hasProducer)
  }

  private func isOpen(_ replica: Replica, isProducers: Bool) -> Bool {
    !replica.raft.isTransferring
      && (replica.knowsFences || !isProducers || plants(.serveBeforeFences))
  }

  func hold(_ operation: ProduceOperation, _ log: LogID) {
    operation.outstanding += 1
    heldBatches[log, default: []].append(
      HeldBatch(
        operation: operation, topic: operation.topic, partition: operation.partition, since: now))
  }

  /// Appends what waits for nothing any more, as far as there is room, and refuses what another
  /// leads now.
  func advanceHeld() {
    // What is appended may end or begin a leadership.
    guard !heldBatches.isEmpty, !isAdvancingHeld else { return }
    isAdvancingHeld = true
    defer { isAdvancingHeld = false }
    for log in heldBatches.keys.sorted() {
      guard let replica = replicas[log] else {
        refuseHeld(log)
        continue
      }
      if replica.leads {
        if isOpen(replica, isProducers: true) { appendHeld(log) }
      } else if leader(of: replica.group) != nil || isLate(log) {
        refuseHeld(log)
      }
    }
  }

  private func isLate(_ log: LogID) -> Bool {
    (heldBatches[log]?.first).map { now - $0.since >= Self.heldMilliseconds } ?? false
  }

  private func appendHeld(_ log: LogID) {
    while let held = heldBatches[log]?.first {
      if !held.operation.isAnswered, !visit(held, { tryToAppend($0, wasHeld: true) }) { return }
      heldBatches[log]?.removeFirst()
      produced(held.operation, held.topic, held.partition, nil)
    }
    heldBatches[log] = nil
  }

  private func refuseHeld(_ log: LogID) {
    for held in heldBatches.removeValue(forKey: log) ?? [] where !held.operation.isAnswered {
      visit(held) { operation in
        let topic = operation.body.topicData[held.topic]
        failElsewhere(topic.name, topic.partitionData[held.partition].index, operation)
      }
      produced(held.operation, held.topic, held.partition, nil)
    }
  }

  /// With the operation at this part of it.
  private func visit<R>(_ held: HeldBatch, _ body: (ProduceOperation) -> R) -> R {
    let operation = held.operation
    let next = (operation.topic, operation.partition)
    (operation.topic, operation.partition) = (held.topic, held.partition)
    defer { (operation.topic, operation.partition) = next }
    return body(operation)
  }

  func timeOutHeld() {
    for log in heldBatches.keys.sorted() {
      for held in heldBatches[log] ?? [] where held.operation.deadline < now {
        held.operation.response.responses[held.topic].partitionResponses[held.partition]
          .errorCode = .requestTimedOut
      }
      heldBatches[log]?.removeAll { $0.operation.deadline < now }
      if heldBatches[log]?.isEmpty == true { heldBatches[log] = nil }
    }
  }
}
