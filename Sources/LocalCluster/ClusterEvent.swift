/// Something that happened in a cluster, as people are told of it.
package enum ClusterEvent: Equatable, Sendable {
  case started(node: Int32, process: Int32)
  /// It takes clients; after so many milliseconds, if it was started again.
  case serves(node: Int32, after: Int64?)
  /// The status of its process: 128 and the signal, if one ended it.
  case ended(node: Int32, status: Int32)
  /// Its process is there and does not answer.
  case silent(node: Int32)
  case answers(node: Int32)
  /// Of a node that was lost: how many partitions, who leads how many of them now, and how long
  /// they were without a leader, at most or as measured.
  case moved(from: Int32, count: Int, to: [Share], milliseconds: Int64, isAtMost: Bool)
  /// It has all that the others have, so long after it was lost.
  case caughtUp(node: Int32, milliseconds: Int64)
  /// Who leads how many partitions, after a change, once it stays so.
  case spread([Share])

  package struct Share: Equatable, Sendable {
    package var node: Int32
    package var count: Int

    package init(node: Int32, count: Int) {
      self.node = node
      self.count = count
    }
  }

  package var text: String {
    switch self {
    case .started(let node, let process): return "node \(node) is started as process \(process)"
    case .serves(let node, nil): return "node \(node) takes clients"
    case .serves(let node, let after?):
      return "node \(node) is back and takes clients, \(Self.time(after)) after its start"
    case .ended(let node, let status) where status > 128:
      return "node \(node) was killed by signal \(status - 128)"
    case .ended(let node, let status): return "node \(node) has ended with \(status)"
    case .silent(let node): return "node \(node) does not answer"
    case .answers(let node): return "node \(node) answers again"
    case .moved(let node, let count, let shares, let milliseconds, let isAtMost):
      return "\(Self.partitions(count)) moved from node \(node) to "
        + "\(shares.isEmpty ? "others" : Self.list(shares)) "
        + (isAtMost ? "in at most " : "in ") + Self.time(milliseconds)
    case .caughtUp(let node, let milliseconds):
      return "node \(node) has caught up, \(Self.time(milliseconds)) after it was lost"
    case .spread(let shares):
      let count = shares.reduce(0) { $0 + $1.count }
      return "\(Self.partitions(count)) led by \(Self.list(shares))"
    }
  }

  private static func partitions(_ count: Int) -> String {
    count == 1 ? "1 partition" : "\(count) partitions"
  }

  private static func list(_ shares: [Share]) -> String {
    let nodes = shares.map { "node \($0.node)" + (shares.count > 1 ? " (\($0.count))" : "") }
    return nodes.joined(separator: ", ")
  }

  private static func time(_ milliseconds: Int64) -> String {
    guard milliseconds >= 1000 else { return "\(milliseconds) ms" }
    return "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
  }
}
