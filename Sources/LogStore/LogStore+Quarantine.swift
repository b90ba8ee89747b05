package import Bytes
package import Platform

/// Making a damaged log anew: its files are kept for whoever wants to look, and its name is free.
extension LogStore {
  /// Logs kept in quarantine at most; the oldest is removed for one more.
  package static let quarantinedLogsMax = 4
  private static let quarantine = "quarantine"

  /// What became of a log that was set aside.
  package struct SetAside: Equatable, Sendable {
    /// Where its files are, when that is durable.
    package var path: String
    /// What whoever comes in its place must not vote below.
    package var vote: Vote
  }

  static func quarantinePath(_ log: LogID) -> String { "\(quarantine)/log-\(log)" }

  /// Forgets the log, whatever is wrong with it, and keeps its files in `quarantine`, to which they
  /// go when that is durable. One that is made with its name begins empty, with its vote or a later
  /// one, also after a crash in between. Whatever of its records was only in the journal is not
  /// kept there: checkpoints go on.
  package func setAside(_ log: LogID) throws(LogError) -> SetAside {
    try checkUsable()
    let slot = try slot(of: log)
    try makeQuarantine()
    let group = try add(.setAside, log, .none, payload: [])
    let vote = logs[slot].voteFloor
    votesSetAside[logs[slot].name] = vote
    forget(slot)
    group.effects.append(.work(slot: slot, log, .removeDirectory(isKept: true), destroys: true))
    group.effects.append(.deleted(slot: slot, log))
    return SetAside(path: Self.quarantinePath(log), vote: vote)
  }

  /// What a log that was set aside had voted matters no more: nobody makes one of that name again.
  /// For good at the next checkpoint.
  package func forgetSetAside(named name: String) { votesSetAside[name] = nil }

  private func makeQuarantine() throws(LogError) {
    do throws(DiskError) {
      if !(try disk.names(in: ".").contains(Self.quarantine)) {
        _ = try disk.perform(.makeDirectory(Self.quarantine))
        _ = try disk.perform(.syncDirectory("."))
      }
    } catch {
      throw .disk("\(error)")
    }
  }

  /// What had to go from quarantine for newer logs since the last call, each named once.
  package func takeRemovedFromQuarantine() -> [String] {
    defer { removedFromQuarantine = [] }
    return removedFromQuarantine
  }

  /// The logs that are in quarantine, oldest first.
  private func quarantined() throws(DiskError) -> [String] {
    try disk.names(in: Self.quarantine).filter { $0.hasPrefix("log-") }
      .map { "\(Self.quarantine)/\($0)" }
  }

  /// Stores kept in quarantine at most; the oldest is removed for one more.
  private static let quarantinedStoresMax = 2

  /// For a node whose peers have all that it had: if the store cannot be opened because its
  /// checkpoint is damaged or gone, its files go to `quarantine` and a new store can be made. Where
  /// they are then; nil if nothing is wrong.
  ///
  /// The checkpoint goes last: whatever crash comes before that finds it damaged again.
  package static func setAsideDamagedStore(on disk: any Disk) throws(LogError) -> String? {
    do throws(DiskError) {
      let names = try disk.names(in: ".")
      guard try isDamaged(disk, names) else { return nil }
      if !names.contains(quarantine) {
        _ = try disk.perform(.makeDirectory(quarantine))
        _ = try disk.perform(.syncDirectory("."))
      }
      let there = try disk.names(in: quarantine).filter { $0.hasPrefix("store-") }
        .compactMap { Int($0.dropFirst("store-".count)) }.sorted()
      for old in there.dropLast(quarantinedStoresMax - 1) {
        _ = try disk.perform(.removeTree("\(quarantine)/store-\(old)"))
      }
      let path = "\(quarantine)/store-\((there.last ?? 0) + 1)"
      _ = try disk.perform(.makeDirectory(path))
      _ = try disk.perform(.syncDirectory(quarantine))
      for name in ["journal", "logs", Checkpoint.path] where names.contains(name) {
        _ = try disk.perform(.rename(from: name, to: "\(path)/\(name)"))
        _ = try disk.perform(.syncDirectory(path))
        _ = try disk.perform(.syncDirectory("."))
      }
      return path
    } catch {
      throw .disk("\(error)")
    }
  }

  private static func isDamaged(_ disk: any Disk, _ names: [String]) throws(DiskError) -> Bool {
    guard names.contains(Checkpoint.path) else {
      for directory in ["journal", "logs"] where names.contains(directory) {
        if try !disk.names(in: directory).isEmpty { return true }
      }
      return false
    }
    let bytes = try Recovery.readCheckpoint(disk)
    do throws(ByteError) {
      let checkpoint = try Checkpoint(decoding: bytes)
      for record in checkpoint.records { _ = try Log(decoding: record) }
      return false
    } catch {
      return true
    }
  }

  /// One is in quarantine now.
  func wasSetAside() {
    submit(.syncDirectory(Self.quarantine), .leftover)
    submit(.syncDirectory("logs"), .leftover)
    let there = (try? quarantined()) ?? []
    leavingQuarantine.formIntersection(there)
    for path in there.dropLast(Self.quarantinedLogsMax)
    where leavingQuarantine.insert(path).inserted {
      removedFromQuarantine.append(path)
      submit(.removeTree(path), .leftover)
    }
  }
}
