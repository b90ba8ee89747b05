internal import LogStore
internal import Replication

/// How a node ends that is asked to.
extension Node {
  /// Begins the end: answers fetches with what there is and writes a checkpoint.
  package func stop(now time: NodeTime) {
    handOverUntil = time.steady + Self.handOverMilliseconds
    giveLeadershipsAway(now: time)
    expireFetches()
    expireSearches()
    advanceAwaitingLeaders(all: true)
    noteLostPeers()
    store.startCheckpoint()
  }

  /// After so long somebody who does not take a leadership is not waited for: it will be elected.
  private static let handOverMilliseconds: Int64 = 1000

  /// Others are about to lead what this node leads, which is about to end.
  package var isHandingOver: Bool {
    guard let handOverUntil, now < handOverUntil, !peers.connected.isEmpty else { return false }
    return replicas.values.contains { $0.leads && !isSole($0) && $0.raft.isTransferring }
  }

  /// Nothing is under way any more, and what it knows of those that are away is kept.
  package var isQuiet: Bool {
    !isHandingOver && startsInFlight.isEmpty && store.isQuiet
      && (store.areNotesKept || failure != nil)
      && appends.allSatisfy { $0.value.isEmpty }
      && produces.stuck.isEmpty
  }
}
