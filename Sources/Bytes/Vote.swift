/// The latest epoch a voter has heard of and whom it voted for in it (Raft, section 5.2).
package struct Vote: Equatable, Sendable {
  package var epoch = LeaderEpoch.none
  /// The candidate's node id, or -1.
  package var candidate: Int32 = -1

  package init() {}

  package init(epoch: LeaderEpoch, candidate: Int32) {
    self.epoch = epoch
    self.candidate = candidate
  }
}
