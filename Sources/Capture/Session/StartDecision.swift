/// A replication slot as `pg_replication_slots` has it.
package struct SlotState: Equatable, Sendable {
  package var name: String
  package var plugin: String
  package var database: String
  /// The backend that streams from it.
  package var activePID: Int32?
  package var confirmedFlush: LSN?
  /// `reserved`, `extended`, `unreserved` or `lost`.
  package var walStatus: String

  package init(
    name: String, plugin: String, database: String, activePID: Int32?, confirmedFlush: LSN?,
    walStatus: String
  ) {
    self.name = name
    self.plugin = plugin
    self.database = database
    self.activePID = activePID
    self.confirmedFlush = confirmedFlush
    self.walStatus = walStatus
  }
}

package enum SnapshotMode: String, Sendable {
  case initial
  case noData = "no_data"
  case initialOnly = "initial_only"
}

/// What a start finds.
package struct StartSituation: Equatable, Sendable {
  package var connector: String
  package var record: PositionRecord?
  package var slot: SlotState?
  package var slotName: String
  package var database: String
  package var system: SystemIdentity
  /// How far the server's own log is on its disk.
  package var serverEnd: LSN
  /// The largest `CapturePosition.major` in the output partitions.
  package var writtenThrough: UInt64
  package var mode: SnapshotMode

  package init(
    connector: String, record: PositionRecord?, slot: SlotState?, slotName: String,
    database: String, system: SystemIdentity, serverEnd: LSN, writtenThrough: UInt64,
    mode: SnapshotMode
  ) {
    self.connector = connector
    self.record = record
    self.slot = slot
    self.slotName = slotName
    self.database = database
    self.system = system
    self.serverEnd = serverEnd
    self.writtenThrough = writtenThrough
    self.mode = mode
  }
}

/// What a start does. It goes on only where it is certain that nothing is left out; whatever does
/// not fit together is refused with a sentence, because streaming on would lose changes silently.
package enum StartDecision: Equatable, Sendable {
  /// Make the slot; what is there of it is an attempt that wrote nothing, and is dropped first.
  case create(dropping: Bool)
  /// Go on with a snapshot that was interrupted.
  case resumeSnapshot
  case stream(from: LSN)
  /// Stream from a slot that somebody else made, from where it stands.
  case adopt(LSN)
  /// All is done that was asked for.
  case finished
  /// Somebody still streams from the slot, perhaps a walsender that has not noticed our death.
  case wait(String)
  case refuse(String)

  package init(_ situation: StartSituation) {
    if let problem = situation.contradiction {
      self = .refuse(problem)
    } else if let record = situation.record {
      self = situation.decide(with: record)
    } else {
      self = situation.decideWithoutRecord()
    }
  }
}

extension StartSituation {
  private var forget: String {
    "stop this connector and run it once with --forget, which begins anew with a snapshot"
  }

  /// What cannot be, whatever the phase.
  fileprivate var contradiction: String? {
    if writtenThrough > serverEnd.rawValue {
      return "The topics hold changes up to \(LSN(writtenThrough)), but this server is at "
        + "\(serverEnd): it is another one, or was restored to an earlier time. Connect to the "
        + "right one, or delete the topics."
    }
    if let slot, slot.plugin != "pgoutput" {
      return "The slot '\(slotName)' is one of the plugin '\(slot.plugin)'; set slot.name to "
        + "another, or drop it with: SELECT pg_drop_replication_slot('\(slotName)')"
    }
    if let slot, slot.database != database {
      return "The slot '\(slotName)' belongs to the database '\(slot.database)', not "
        + "'\(database)'; set slot.name to another."
    }
    guard let record else { return nil }
    if record.system.identifier != system.identifier {
      return
        "Connector '\(connector)' has followed the server \(record.system.identifier), and this "
        + "is \(system.identifier): its log is another one. Connect to the right one, or \(forget)."
    }
    if record.system.timeline != system.timeline {
      return "The server is on timeline \(system.timeline), and the changes in the topics are of "
        + "timeline \(record.system.timeline): a standby took over, or it was restored. Changes "
        + "may be missing or undone; check, then \(forget)."
    }
    if record.database != database {
      return "Connector '\(connector)' has captured the database '\(record.database)', not "
        + "'\(database)'; give this one another name."
    }
    if record.slot != slotName {
      return
        "Connector '\(connector)' has used the slot '\(record.slot)', not '\(slotName)': a new "
        + "slot begins later. Set slot.name=\(record.slot), or \(forget)."
    }
    if record.phase != .creating, record.phase != .finished, record.through > serverEnd {
      return
        "Connector '\(connector)' is at \(record.through), but this server is at \(serverEnd): it "
        + "was restored to an earlier time. Check, then \(forget)."
    }
    return nil
  }

  fileprivate func decideWithoutRecord() -> StartDecision {
    guard let slot else { return .create(dropping: false) }
    guard mode == .noData, let confirmed = slot.confirmedFlush else {
      return .refuse(
        "The slot '\(slotName)' exists, and connector '\(connector)' has no position in it: the "
          + "rows that were there before the slot would be missing. Drop it to have them: SELECT "
          + "pg_drop_replication_slot('\(slotName)'). Or set snapshot.mode=no_data to go on from "
          + "where it stands.")
    }
    if let problem = loss(of: slot) { return .refuse(problem) }
    if let pid = slot.activePID { return .wait(waiting(pid)) }
    return .adopt(confirmed)
  }

  fileprivate func decide(with record: PositionRecord) -> StartDecision {
    switch record.phase {
    case .creating:
      guard let slot else { return .create(dropping: false) }
      if let pid = slot.activePID { return .wait(waiting(pid)) }
      return .create(dropping: true)
    case .finished:
      guard mode == .initialOnly else {
        return .refuse(
          "Connector '\(connector)' has made a snapshot only, and no slot has kept the changes "
            + "since. Set snapshot.mode=initial_only, or \(forget).")
      }
      return .finished
    case .snapshot, .streaming:
      guard let slot else {
        return .refuse(
          "The slot '\(slotName)' is gone, and with it the changes after \(record.through). If "
            + "that is accepted, \(forget).")
      }
      if let problem = loss(of: slot) { return .refuse(problem) }
      if let confirmed = slot.confirmedFlush, confirmed > record.through {
        return .refuse(
          "The slot '\(slotName)' is at \(confirmed), and the topics have the changes up to "
            + "\(record.through) only: somebody else has read from it or moved it. If the changes "
            + "between are not needed, \(forget).")
      }
      if let pid = slot.activePID { return .wait(waiting(pid)) }
      return record.phase == .snapshot ? .resumeSnapshot : .stream(from: record.through)
    }
  }

  private func loss(of slot: SlotState) -> String? {
    guard slot.walStatus == "lost" else { return nil }
    return "The slot '\(slotName)' has lost changes: the server removed WAL that it needed "
      + "(max_slot_wal_keep_size). Drop it with SELECT pg_drop_replication_slot('\(slotName)'), "
      + "then \(forget)."
  }

  private func waiting(_ pid: Int32) -> String {
    "The slot '\(slotName)' is being read by the backend \(pid); waiting until it ends. If it is "
      + "not one of ours that is dying, stop it: SELECT pg_terminate_backend(\(pid))"
  }
}
