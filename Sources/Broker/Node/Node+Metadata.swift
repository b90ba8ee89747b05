internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// The cluster's metadata: every node applies what is committed of it, in its order; the node that
/// leads it decides what comes next.
extension Node {
  /// Applies what is committed and not applied yet.
  func applyMetadata() {
    guard !isApplyingMetadata, metadataProblem == nil, !isMetadataDamaged else { return }
    isApplyingMetadata = true
    defer { isApplyingMetadata = false }
    do throws(LogError) {
      try readMetadata()
    } catch {
      // What was damaged is found when it is read; the others have it.
      guard !isMetadataDamaged else { return }
      metadataProblem = "\(error)"
      tell("the cluster's metadata cannot be read (\(error)); restore this node's data directory")
    }
    adoptMetadataMembership()
    settleFences()
    answerFenceQuestions()
    answerForwards()
    metadataIsReady()
    passBarrier()
  }

  private func readMetadata() throws(LogError) {
    // A log that was made anew is behind what this node knows for a while.
    while try metadataApplied < store.bounds(of: metadataLog).readable,
      let slice = try store.slice(of: metadataLog, from: metadataApplied, bytesMax: 1 << 20)
    {
      var batches = RecordBatches(try store.bytes(of: slice)[...])
      var records: [MetadataRecord] = []
      var problem: MetadataError?
      do throws(RecordError) {
        while let batch = try batches.next() {
          metadataApplied = batch.header.nextOffset
          guard !batch.header.attributes.isControl else { continue }
          for record in try batch.records(&decompressor) where problem == nil {
            do throws(MetadataError) {
              try take(record, &records)
            } catch {
              problem = error
            }
          }
          if !hasStarted, !controller.isLeading { noteGrowth(metadataLog, batch.header.batchSize) }
        }
      } catch {
        throw .logFailed("its records cannot be read: \(error)")
      }
      if let problem { throw .logFailed("\(problem)") }
      apply(records)
    }
  }

  /// A record of the log: a decision, or a part of a snapshot.
  private func take(_ record: Record, _ records: inout [MetadataRecord]) throws(MetadataError) {
    guard let key = record.key else {
      metadataParts.interrupt()
      let decision = try MetadataRecord(decoding: record.value ?? [])
      note(decision)
      // Who leads decides before its partitions are made: the others are to be registered first.
      if hasStarted || controller.isLeading {
        records.append(decision)
      } else {
        try controller.load(decision)
      }
      return
    }
    guard let state = try metadataParts.take(key: key, value: record.value ?? []) else { return }
    // Who has applied all that is before it knows what it says.
    guard metadataNeedsSnapshot || !hasStarted else { return }
    metadataNeedsSnapshot = false
    apply(records)
    records = []
    if hasStarted {
      step(Controller.Input.snapshot(state))
    } else {
      controller.load(snapshot: state)
    }
    for decision in state.records { note(decision) }
  }

  private func apply(_ records: [MetadataRecord]) {
    guard !records.isEmpty else { return }
    step(Controller.Input.committed(records))
  }

  /// Everything below is in force here. What is below the log's start is that with the snapshot
  /// there, which may be above what was asked for: who took the start for it would delete the logs
  /// whose topics are in the snapshot.
  var metadataInForce: Offset { metadataNeedsSnapshot ? .zero : metadataApplied }

  /// What is to be known of the metadata begins there anew: with a snapshot.
  func metadataWasReset(to start: Offset) {
    // What is committed is the same in every copy of the log.
    guard start > metadataApplied else { return }
    metadataApplied = start
    metadataParts.interrupt()
    metadataNeedsSnapshot = true
  }

  // MARK: Leading

  /// This node leads the metadata, or has applied more of it: whoever has all decides.
  func metadataIsReady() {
    guard controllerEpoch == nil, let replica = replicas[metadataLog], replica.isReady,
      metadataInForce >= replica.raft.committed.offset
    else { return }
    controllerEpoch = replica.raft.epoch
    step(Controller.Input.lead)
    if !options.cluster.isAlone {
      introduceNodes()
      for group in earlyReports.keys.sorted() {
        if let report = earlyReports[group] { step(Controller.Input.report(report)) }
      }
      earlyReports = [:]
      reportAnew()
    }
    passBarrier()
    if controller.state.clusterId == nil { submit(.identifyCluster(freshUUID()), 0, nil) }
    advanceForwards()
  }

  func metadataIsLost() {
    earlyReports = [:]
    guard controllerEpoch != nil else { return }
    controllerEpoch = nil
    metadataAppends = []
    metadataLoss = nil
    step(Controller.Input.resign(.notController))
  }

  // MARK: The barrier

  /// A node that was started takes part in other groups once it knows what was committed before:
  /// it may have been in more of them, or fewer, than its metadata says.
  func askForBarrier() {
    guard !hasStarted, barrier == nil, let leader = leader(of: .metadata)?.leader,
      leader != options.id, now >= barrierAskedAt + 100
    else { return }
    barrierAskedAt = now
    barrierToken = freshNumber()
    peers.send(.askCommitted(token: barrierToken), to: leader)
  }

  func askedCommitted(_ token: UInt64, by peer: Int32) {
    guard let replica = replicas[metadataLog] else { return }
    let read = freshNumber()
    peerReads[read] = (peer, token)
    step(replica, .read(read))
  }

  func committedAnswered(_ token: UInt64, _ offset: Offset?) {
    if fencesAnswered(token, offset) { return }
    guard !hasStarted, token == barrierToken, let offset else { return }
    barrier = offset
    passBarrier()
  }

  func passBarrier() {
    guard !hasStarted else { return }
    guard isController || barrier.map({ $0 <= metadataInForce }) ?? plants(.skipBarrier)
    else { return }
    // A cluster that is being made: what is made in it is to be on all its nodes.
    guard
      options.cluster.isAlone
        || ([options.id] + peers.connected).allSatisfy({ controller.state.node($0) != nil })
    else { return }
    hasStarted = true
    startPartitions()
  }
}
