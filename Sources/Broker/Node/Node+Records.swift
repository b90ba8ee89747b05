internal import Bytes
internal import KafkaWire
internal import LogStore
internal import Records
internal import Replication

/// A key and a value.
struct LogRecord {
  var key: [UInt8]?
  var value: [UInt8]?
}

/// Records of a machine of this node: of the metadata log, or of the group coordinator.
final class RecordsAppend {
  enum Owner {
    case metadata(UInt64)
    case group(AppendToken)
    /// A part of a machine's whole state.
    case snapshot(SnapshotAppend)
  }

  let owner: Owner
  let log: LogID
  let batch: [UInt8]
  /// Something goes by it: a full disk is no reason to refuse it.
  let makesSpace: Bool

  init(owner: Owner, log: LogID, batch: [UInt8], makesSpace: Bool) {
    self.owner = owner
    self.log = log
    self.batch = batch
    self.makesSpace = makesSpace
  }
}

extension Node {
  /// Appends a machine's records as one batch. If the journal has no room they wait, in order.
  func append(
    _ records: [LogRecord], to log: LogID, _ owner: RecordsAppend.Owner, makesSpace: Bool = false
  ) {
    var builder = RecordBatchBuilder(bytesMax: store.appendBytesMax)
    for record in records {
      do throws(RecordError) {
        try builder.append(
          key: record.key.map { $0[...] }, value: record.value.map { $0[...] }, headers: [],
          timestamp: Timestamp(wallNow))
      } catch {
        decided(owner, .messageTooLarge)
        return
      }
    }
    let append = RecordsAppend(
      owner: owner, log: log, batch: builder.buildUncompressed(), makesSpace: makesSpace)
    stuckRecords.append(append)
    advanceRecords()
  }

  /// Goes on with what was stuck. What is for a log whose next leader is asked to stand holds up
  /// nothing else: it would be behind what the next leader has, and is refused when that leads.
  func advanceRecords() {
    while let index = stuckRecords.firstIndex(where: {
      replicas[$0.log]?.raft.isTargetAsked != true
    }) {
      let append = stuckRecords.remove(at: index)
      guard tryToAppend(append) else { return stuckRecords.insert(append, at: index) }
    }
  }

  /// This node does not lead the log any more: what it decided for it is not appended later, when
  /// it may lead it again.
  func refuseStuckRecords(of log: LogID) {
    let refused = stuckRecords.filter { $0.log == log }
    stuckRecords.removeAll { $0.log == log }
    for append in refused { decided(append.owner, .notLeaderOrFollower) }
  }

  /// False if the journal has no room.
  private func tryToAppend(_ append: RecordsAppend) -> Bool {
    do throws(LogError) {
      guard let replica = replicas[append.log], replica.leads else {
        decided(append.owner, .notLeaderOrFollower)
        return true
      }
      guard !replica.isStuck else { return false }
      let appended = try store.append(
        append.log, append.batch[...], epoch: replica.raft.epoch, makesSpace: append.makesSpace)
      noteGrowth(append.log, append.batch.count)
      if case .group = append.owner, plants(.acknowledgeOffsetsEarly) {
        decided(append.owner, .none)
      } else {
        appends[append.log, default: []].append(
          AppendInFlight(position: appended.position, owner: .records(append)))
      }
      step(replica, .appended(appended.position))
      return true
    } catch .busy {
      return false
    } catch {
      decided(append.owner, errorCode(for: error))
      return true
    }
  }

  /// Reads a log from its start to its end, as its records.
  func readAll(
    _ log: LogID, _ take: (Record) throws(LogError) -> Void
  ) throws(LogError) {
    var next = try store.bounds(of: log).start
    while let slice = try store.slice(of: log, from: next, bytesMax: 1 << 20) {
      var batches = RecordBatches(try store.bytes(of: slice)[...])
      do throws(RecordError) {
        while let batch = try batches.next() {
          next = batch.header.nextOffset
          noteGrowth(log, batch.header.batchSize)
          guard !batch.header.attributes.isControl else { continue }
          let records = try batch.records(&decompressor)
          do throws(LogError) {
            for record in records { try take(record) }
          } catch {
            throw RecordError.negativeRecordsCount(-1)
          }
        }
      } catch {
        throw .logFailed("its records cannot be read: \(error)")
      }
    }
  }
}
