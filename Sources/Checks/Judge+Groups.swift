/// A group's offset for one partition is a register: a fetch returns what was committed last.
///
/// (1) A commit is overwritten when another that was begun after its end is acknowledged. What is
///     overwritten is not returned by a fetch begun after that.
/// (2) A commit without an answer may take effect at any time, and so never ends.
struct GroupState {
  struct Commit {
    var offset: Int64
    /// -1 if not known.
    var generation: Int32
    var begun: UInt32
    var ended = UInt32.max
    var overwritten = UInt32.max
    var index: UInt64
  }

  /// None committed: as if by a commit before all others.
  private(set) var current = [Commit(offset: -1, generation: -1, begun: 0, ended: 0, index: 0)]
  /// Kept for as long as a fetch is under way that may have been earlier.
  private(set) var overwritten: [Commit] = []
  private var fetches = 0
  private var nextIndex: UInt64 = 1
  /// The newest generation that was acknowledged, the first event that did, and its latest commit.
  var newest: (generation: Int32, event: UInt32)?
  var latest: Commit?

  mutating func begin(offset: Int64, generation: Int32, _ event: UInt32) -> UInt64 {
    current.append(
      Commit(offset: offset, generation: generation, begun: event, index: nextIndex))
    nextIndex += 1
    return nextIndex - 1
  }

  mutating func acknowledge(_ index: UInt64, _ event: UInt32) -> Commit? {
    guard let place = current.firstIndex(where: { $0.index == index }) else { return nil }
    current[place].ended = event
    let commit = current[place]
    if fetches == 0 { overwritten.removeAll(keepingCapacity: true) }
    current.removeAll {
      guard $0.ended < commit.begun else { return false }
      var old = $0
      old.overwritten = event
      overwritten.append(old)
      return true
    }
    return commit
  }

  mutating func refuse(_ index: UInt64) { current.removeAll { $0.index == index } }

  mutating func beginFetch() { fetches += 1 }

  /// Whether the answer is right.
  mutating func endFetch(_ answer: Int64?, begun: UInt32) -> Bool {
    fetches -= 1
    guard let answer else { return true }
    if current.contains(where: { $0.offset == answer }) { return true }
    return overwritten.contains { $0.offset == answer && $0.overwritten > begun }
  }
}

struct GroupKey: Hashable {
  var group: Int32
  var partition: Int32
}

/// C13.
extension Judge {
  func assigned(_ group: Int32, _ generation: Int32, _ partitions: [Int32]) {
    for partition in partitions {
      readers[ViewKey(process: process, partition: partition)] = nil
      guard generation >= 0 else { continue }
      let key = OwnerKey(group: group, generation: generation, partition: partition)
      if let owner = owners[key], owner.process != process {
        violated(.groupOffsetsGoForward, partition, events: [owner.event]) {
          "processes \(owner.process) and \(process) both have it in generation \(generation)"
            + " of group \(group)"
        }
      }
      owners[key] = Owner(process: process, event: eventNumber)
    }
  }

  func commitInvoked(_ operation: UInt64, _ key: GroupKey, _ generation: Int32, _ offset: Int64) {
    let index = groups[key, default: GroupState()].begin(
      offset: offset, generation: generation, eventNumber)
    begin(operation, .commit(key, index: index))
  }

  func commitAnswered(_ operation: UInt64, _ outcome: HistoryEvent.Outcome) {
    guard let begun = end(operation) else { return }
    guard case .commit(let key, let index) = begun else {
      malformed("an answer of another kind than what was asked")
      return
    }
    looked(at: .groupOffsetsGoForward)
    switch outcome {
    case .unknown: break
    case .failed: groups[key, default: GroupState()].refuse(index)
    case .ok:
      guard let commit = groups[key, default: GroupState()].acknowledge(index, eventNumber) else {
        return
      }
      report.commits += 1
      accepted(commit, key)
    }
  }

  private func accepted(_ commit: GroupState.Commit, _ key: GroupKey) {
    let state = groups[key, default: GroupState()]
    if commit.generation >= 0 {
      if let newest = state.newest, commit.generation < newest.generation {
        if commit.begun > newest.event {
          violated(
            .groupOffsetsGoForward, key.partition, commit.offset,
            events: [newest.event, commit.begun]
          ) {
            "generation \(commit.generation) of group \(key.group) commits \(commit.offset) after"
              + " generation \(newest.generation) has committed"
          }
        }
      } else if commit.generation != state.newest?.generation {
        groups[key]?.newest = (commit.generation, eventNumber)
      }
    }
    if let latest = state.latest, latest.generation == commit.generation, commit.generation >= 0,
      latest.ended < commit.begun, commit.offset < latest.offset
    {
      violated(
        .groupOffsetsGoForward, key.partition, commit.offset, events: [latest.ended, commit.begun]
      ) {
        "group \(key.group) goes back from \(latest.offset) to \(commit.offset) in generation"
          + " \(commit.generation)"
      }
    }
    groups[key]?.latest = commit
  }

  func offsetFetchInvoked(_ operation: UInt64, _ key: GroupKey) {
    groups[key, default: GroupState()].beginFetch()
    begin(operation, .offsetFetch(key, eventNumber))
  }

  func offsetFetchAnswered(_ operation: UInt64, _ offset: Int64?) {
    guard let begun = end(operation) else { return }
    guard case .offsetFetch(let key, let event) = begun else {
      malformed("an answer of another kind than what was asked")
      return
    }
    if offset != nil { looked(at: .groupOffsetsGoForward) }
    let latest = groups[key]?.latest
    guard groups[key, default: GroupState()].endFetch(offset, begun: event) == false else { return }
    violated(
      .groupOffsetsGoForward, key.partition, offset ?? -1, events: [event, latest?.ended ?? 0]
    ) {
      "group \(key.group) is told \(offset ?? -1); committed last was \(latest?.offset ?? -1)"
    }
  }
}
