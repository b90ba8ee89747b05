internal import Broker
internal import Bytes
internal import Checks
internal import KafkaWire
internal import LogStore

extension SimulatedClient {
  /// Asks who leads a partition for an offset of it: the first (-2), or the end (-1).
  func askForOffset(
    _ timestamp: Int64, of partition: Int32, at node: Int32, then: @escaping (Int64?) -> Void
  ) {
    let request = ListOffsetsRequest.with { request in
      request.replicaId = -1
      request.topics = [
        .with { topic in
          topic.name = SimulatedCluster.topic
          topic.partitions = [
            .with {
              $0.partitionIndex = partition
              $0.timestamp = timestamp
            }
          ]
        }
      ]
    }
    call(node, request, version: 5) { response in
      let part = response?.topics.first?.partitions.first
      then(part.flatMap { $0.errorCode == .none ? $0.offset : nil })
    }
  }
}

extension SimulatedCluster {
  /// The highest that any replica's log has begun at.
  func highestStart(of partition: Int32) -> Int64 {
    var highest = startsSeen[partition] ?? 0
    for member in nodes {
      guard let log = member.node?.log(of: Self.topic, partition),
        let bounds = try? member.store?.bounds(of: log)
      else { continue }
      highest = max(highest, bounds.start.rawValue)
    }
    startsSeen[partition] = highest
    return highest
  }

  /// A log begins there, and has so many bytes from there on: is that what was asked for?
  func checkStart(_ start: Int64, of partition: Int32, bytes: Int, _ reader: String) {
    guard start > 0, start > deletedBelow[partition] ?? 0 else { return }
    guard let retention = options.retentionBytes else {
      violated(
        "\(reader) begins partition \(partition) at \(start), and what is below"
          + " \(deletedBelow[partition] ?? 0) was deleted")
      return
    }
    // What was not committed counted, and may be gone.
    let batchBytes = options.recordsMax * (options.paddingMax + 40) + 100
    let uncommitted =
      (options.producers * options.batchesInFlight + options.plainProducers) * batchBytes
    guard bytes < retention - uncommitted else { return }
    violated(
      "\(reader) begins partition \(partition) at \(start), and has \(bytes) bytes, of which"
        + " \(retention) are to be kept")
  }
}

/// Deletes records now and then: also those before the middle of a batch.
final class SimulatedDeleter: UnhurriedClient {
  override var pause: Int { 1500 }

  override func act() {
    let partition = Int32(cluster.random.below(Int(cluster.options.partitions)))
    guard let leader = leaders[partition]?.node else {
      return findLeaders { [unowned self] in later() }
    }
    askForOffset(-1, of: partition, at: leader) { [unowned self] end in
      guard let end, end > 0 else { return findLeaders { [unowned self] in later() } }
      guard !cluster.random.oneIn(10) else { return delete(partition, below: end, at: leader) }
      let below = cluster.deletedBelow[partition] ?? 0
      // A little, or any part of it.
      let left = max(1, end - below)
      let most = cluster.random.oneIn(2) ? min(left, 20) : left
      let offset = min(end, below + 1 + Int64(cluster.random.below(Int(most))))
      let starts = cluster.batchStarts[partition] ?? []
      guard !cluster.options.deletesWithinBatches else {
        return delete(partition, below: offset, at: leader)
      }
      guard let start = starts.last(where: { $0 <= offset }) else { return later() }
      delete(partition, below: start, at: leader)
    }
  }

  private func delete(_ partition: Int32, below offset: Int64, at leader: Int32) {
    // Whatever is answered.
    cluster.deletedBelow[partition] = max(cluster.deletedBelow[partition] ?? 0, offset)
    let request = DeleteRecordsRequest.with { request in
      request.timeoutMs = 2000
      request.topics = [
        .with { topic in
          topic.name = SimulatedCluster.topic
          topic.partitions = [
            .with {
              $0.partitionIndex = partition
              $0.offset = offset
            }
          ]
        }
      ]
    }
    call(leader, request, version: 2) { [unowned self] response in
      let part = response?.topics.first?.partitions.first
      cluster.say(
        "records of partition \(partition) below \(offset) are deleted at node \(leader):"
          + " \(part.map { "\($0.errorCode), below \($0.lowWatermark)" } ?? "no answer")")
      switch part?.errorCode {
      case ErrorCode.none?:
        if let part, part.lowWatermark < offset {
          cluster.violated(
            "partition \(partition) is said to begin at \(part.lowWatermark), after a deletion"
              + " below \(offset)")
        }
        later()
      case .offsetOutOfRange?:
        cluster.violated(
          "node \(leader) says that partition \(partition) does not reach to \(offset), which was"
            + " its end")
      default: findLeaders { [unowned self] in later() }
      }
    }
  }
}
