internal import Broker
internal import Bytes
internal import Checks
internal import LogStore
internal import Replication

/// The end of a run: everything is mended, everything is acknowledged, all have the same.
extension SimulatedCluster {
  /// Simulated seconds after which a cluster that is well does what it is asked.
  private static var patience: Int64 { 15 }

  func makeClients() {
    var process: Int32 = 1
    func add(_ make: (SimulatedCluster, Int32) -> SimulatedClient) {
      clients.append(make(self, process))
      process += 1
    }
    add { TopicClient($0, process: $1) }
    for _ in 0..<options.producers { add { IdempotentProducer($0, process: $1) } }
    for _ in 0..<options.plainProducers { add { PlainProducer($0, process: $1) } }
    for _ in 0..<options.consumers { add { SimulatedConsumer($0, process: $1) } }
    for _ in 0..<options.groups { add { GroupClient($0, process: $1) } }
    for _ in 0..<options.deleters { add { SimulatedDeleter($0, process: $1) } }
    for client in clients {
      after(around(milliseconds(500))) { client.begin() }
    }
  }

  func mend() {
    mendAll()
    let before = acknowledgedCount
    runs(until: now + Self.patience * Self.second) { [unowned self] in
      acknowledgedCount < before + 3 || !(clients.first?.isDone ?? true)
    }
    guard violations.isEmpty else { return }
    if acknowledgedCount < before + 3 {
      violated(
        "nothing is acknowledged any more, \(Self.patience) s after all was mended\n\(state)")
      return
    }
    runs(until: now + 2 * Self.second)
    isEnding = true
    say("clients begin nothing new")
    runs(until: now + Self.patience * Self.second) { [unowned self] in
      !clients.allSatisfy(\.isDone)
    }
    guard violations.isEmpty else { return }
    guard clients.allSatisfy(\.isDone) else {
      violated(
        "not everything is acknowledged, \(Self.patience) s after all was mended\n"
          + clients.filter { !$0.isDone }.map(\.text).joined(separator: "\n") + "\n\(state)")
      return
    }
    waitUntilEqual()
  }

  private func waitUntilEqual() {
    let end = now + Self.patience * Self.second
    while violations.isEmpty, unequal() != nil, now < end {
      runs(until: now + Self.second / 5)
    }
    if violations.isEmpty, let why = unequal() {
      violated("replicas are not equal after \(Self.patience) s: \(why)\n\(state)")
    }
  }

  var acknowledgedCount: Int { judge.acknowledgedCount }

  var state: String {
    nodes.map { $0.node?.clusterText ?? "node \($0.id): down" }.joined(separator: "\n")
  }

  func finish() {
    let reader = FinalReader(self, process: Int32(clients.count + 1))
    clients.append(reader)
    reader.begin()
    runs(until: now + Self.patience * Self.second) { !reader.isDone }
    guard violations.isEmpty else { return }
    guard reader.isDone else {
      violated("the final read does not end\n\(state)")
      return
    }
    // What is damaged may be found by this, and is repaired.
    for member in nodes {
      for partition in 0..<options.partitions { _ = replica(member, partition) }
    }
    runs(until: now + Self.second)
    waitUntilEqual()
    guard violations.isEmpty else { return }
    for member in nodes {
      for partition in 0..<options.partitions { observeReplica(member, partition) }
    }
  }

  private func observeReplica(_ member: SimulatedNode, _ partition: Int32) {
    switch replica(member, partition) {
    case nil: break  // Not all nodes have one; how many do was counted.
    case .failure(let why):
      violated("node \(member.id) cannot read partition \(partition): \(why)\n\(state)")
    case .success(let (batches, range, bytes)):
      checkStart(range.lowerBound, of: partition, bytes: bytes, "node \(member.id)")
      for batch in batches {
        observe(
          0,
          .finalRead(
            reader: member.id, partition: partition, producer: batch.producer,
            records: batch.records))
      }
      observe(
        0,
        .finalRange(
          reader: member.id, partition: partition, start: Offset(range.lowerBound),
          end: Offset(range.upperBound)))
    }
  }

  /// What is in it; nil if there is none.
  private func replica(
    _ member: SimulatedNode, _ partition: Int32
  ) -> Result<([SeenBatch], Range<Int64>, bytes: Int), LogError>? {
    guard let node = member.node, let store = member.store,
      let log = node.log(of: Self.topic, partition)
    else { return nil }
    do throws(LogError) {
      var found: [SeenBatch] = []
      var next = try store.bounds(of: log).start
      let start = next.rawValue
      var byteCount = 0
      while let slice = try store.slice(of: log, from: next, bytesMax: 1 << 20) {
        let bytes = try store.bytes(of: slice)
        guard !bytes.isEmpty, let (batches, end) = seen(bytes[...], from: next.rawValue),
          end > next.rawValue
        else { break }
        found += batches
        byteCount += bytes.count
        next = Offset(end)
      }
      return .success((found, start..<next.rawValue, byteCount))
    } catch {
      return .failure(error)
    }
  }
}
