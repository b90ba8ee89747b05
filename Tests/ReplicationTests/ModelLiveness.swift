import Bytes
import Replication

/// Who does not reach whom.
struct Cuts {
  private var sets = [UInt64](repeating: 0, count: 64)
  private(set) var isEmpty = true

  func contains(from: NodeID, to: NodeID) -> Bool {
    sets[Int(from.rawValue)] & 1 << UInt64(to.rawValue) != 0
  }

  mutating func cut(from: NodeID, to: NodeID) {
    sets[Int(from.rawValue)] |= 1 << UInt64(to.rawValue)
    isEmpty = false
  }
}

/// What nodes know of each other, apart from any group: they hear each other all the time, and tell
/// their replicas who has fallen silent, or was started anew, and who is heard again.
final class ModelLiveness {
  private struct Knowledge {
    var heard = 0
    /// Of the subject.
    var boot = 0
    var isLost = false
    /// When the next event is told.
    var due: Int?
  }

  /// Turns of silence that make a peer lost.
  var silenceMax = 30
  /// Some notice it so much later.
  var silenceSpread = 0
  private let nodes: Int
  private var boots: [Int]
  private var known: [Knowledge]

  init(nodes: Int) {
    self.nodes = nodes
    boots = Array(repeating: 0, count: nodes)
    known = Array(repeating: Knowledge(), count: nodes * nodes)
  }

  private func place(_ observer: Int, _ subject: Int) -> Int { observer * nodes + subject }

  /// The node has forgotten what it knew, and the others notice by and by.
  func restarted(_ node: NodeID, at now: Int) {
    let node = Int(node.rawValue) - 1
    boots[node] += 1
    for subject in 0..<nodes {
      known[place(node, subject)] = Knowledge(heard: now, boot: boots[subject])
    }
  }

  func lost(by observer: NodeID) -> [NodeID] {
    (0..<nodes).filter { known[place(Int(observer.rawValue) - 1, $0)].isLost }
      .map { NodeID(Int32($0 + 1)) }
  }

  /// The peer was said to be lost for no reason.
  func doubt(_ subject: NodeID, by observer: NodeID) {
    known[place(Int(observer.rawValue) - 1, Int(subject.rawValue) - 1)].isLost = true
  }

  func turn(_ cluster: ModelCluster) {
    for observer in 0..<nodes where cluster.replicas[observer].isUp {
      for subject in 0..<nodes where subject != observer { turn(observer, subject, cluster) }
    }
  }

  private func turn(_ observer: Int, _ subject: Int, _ cluster: ModelCluster) {
    let (one, other) = (cluster.replicas[observer], cluster.replicas[subject])
    let place = place(observer, subject)
    let isCut = cluster.cuts.contains(from: other.id, to: one.id)
    let isHeard = other.isUp && !isCut && cluster.random.below(100) >= cluster.lossPercent
    if isHeard { known[place].heard = cluster.now }
    // A connection that breaks is mostly noticed at once; of a node that is cut off, nothing is.
    let isSilent = cluster.now - known[place].heard > silenceMax + silenceSpread * (observer % 3)
    let isGone = isSilent || !other.isUp && !isCut || known[place].boot != boots[subject]
    guard known[place].isLost ? isHeard : isGone else { return known[place].due = nil }
    let due = known[place].due ?? cluster.now + cluster.random.below(10)
    known[place].due = due
    guard cluster.now >= due else { return }
    known[place].due = nil
    known[place].isLost.toggle()
    if isHeard { known[place].boot = boots[subject] }
    cluster.step(one, known[place].isLost ? .peerLost(other.id) : .peerFound(other.id))
  }
}
