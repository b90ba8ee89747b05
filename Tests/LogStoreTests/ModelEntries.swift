import Bytes
import LogStore
import Records

/// What followers of the model's logs are to be sent.
extension StoreHarness.LogState {
  private enum Item: Equatable {
    case start(LeaderEpoch, Int64)
    case batch([UInt8])
  }

  /// The prefixes that the log has, those of no epoch left out.
  var positions: [LogPosition] {
    var positions: [LogPosition] = []
    for (index, entry) in epochs.enumerated() {
      let next = index + 1 < epochs.count ? epochs[index + 1].start.rawValue : end
      positions.append(LogPosition(epoch: entry.epoch, offset: entry.start))
      for batch in batches {
        let end = StoreHarness.end(of: batch)
        guard end > entry.start.rawValue, end <= next else { continue }
        positions.append(LogPosition(epoch: entry.epoch, offset: Offset(end)))
      }
    }
    return positions
  }

  private func items(after: LogPosition) -> [Item] {
    var items: [Item] = []
    var starts = epochs.filter { $0.epoch > after.epoch }[...]
    func takeStarts(through offset: Int64) {
      while let start = starts.first, start.start.rawValue <= offset {
        items.append(.start(start.epoch, start.start.rawValue))
        starts.removeFirst()
      }
    }
    takeStarts(through: after.offset.rawValue)
    for batch in batches where StoreHarness.end(of: batch) > after.offset.rawValue {
      items.append(.batch(batch))
      takeStarts(through: StoreHarness.end(of: batch))
    }
    return items
  }

  /// What is wrong with these, if anything is.
  func problem(_ entries: [ReplicaEntry], after: LogPosition, bytesMax: Int) -> String? {
    let expected = items(after: after)
    var found: [Item] = []
    var bytes = 0
    var batchCount = 0
    for (index, entry) in entries.enumerated() {
      guard !entry.bytes.isEmpty else {
        found.append(.start(entry.epoch, entry.end.rawValue))
        continue
      }
      if index > 0, entries[index - 1].epoch == entry.epoch, !entries[index - 1].bytes.isEmpty {
        return "two runs of epoch \(entry.epoch)"
      }
      bytes += entry.bytes.count
      var batches = RecordBatches(entry.bytes)
      var last = Offset(-1)
      while let batch = try? batches.next() {
        guard batch.header.partitionLeaderEpoch == entry.epoch else { return "a mixed run" }
        last = batch.header.nextOffset
        batchCount += 1
        found.append(.batch(Array(batch.bytes)))
      }
      guard last == entry.end, batches.truncatedSize == 0 else { return "a run ends elsewhere" }
    }
    guard bytes <= bytesMax || batchCount == 1 else { return "\(bytes) bytes, not \(bytesMax)" }
    guard !found.isEmpty || expected.isEmpty else { return "nothing" }
    guard Array(expected.prefix(found.count)) == found else { return "something else" }
    if batchCount == 0, found.count < expected.count { return "no batch" }
    return nil
  }
}
