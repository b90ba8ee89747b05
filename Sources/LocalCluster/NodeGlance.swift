/// How a node of a cluster stands, by what its page `/metrics` says at a moment.
package struct NodeGlance: Equatable, Sendable {
  /// It takes clients.
  package var hasStarted = false
  /// It decides for the cluster.
  package var isMetadataLeader = false
  /// Partitions, by what it is in them.
  package var leads = 0
  package var follows = 0
  /// Not counted in majorities: it gets its logs, or is without them.
  package var learns = 0
  /// Those of which it reaches no leader.
  package var leaderless = 0
  /// Of those that it leads.
  package var underReplicated = 0
  /// Whether it reaches the other nodes.
  package var isConnected: [Int32: Bool] = [:]
  /// Records that others are behind, at most, in what it leads.
  package var lags: [Int32: Int64] = [:]

  /// Beyond, a page is taken for it: a Double has whole numbers up to here.
  private static let valueMax = 9e15

  package init() {}

  /// Nil if the page is not one of a node.
  package init?(metrics page: String) {
    var isNode = false
    for line in page.split(separator: "\n") where line.hasPrefix("martlet_") {
      guard let space = line.lastIndex(of: " "),
        let value = Double(line[line.index(after: space)...]), value.isFinite
      else { continue }
      let number = Int(max(-Self.valueMax, min(Self.valueMax, value)))
      let series = line[..<space]
      let name = series.prefix { $0 != "{" }
      switch name {
      case "martlet_partitions":
        isNode = true
        switch Self.label(series) {
        case "leader": leads = number
        case "follower": follows = number
        case "learner", "fenced": learns += number
        default: break
        }
      case "martlet_node_started": hasStarted = number == 1
      case "martlet_metadata_leader": isMetadataLeader = number == 1
      case "martlet_leaderless_partitions": leaderless = number
      case "martlet_under_replicated_partitions": underReplicated = number
      case "martlet_peer_connected":
        if let peer = Int32(Self.label(series)) { isConnected[peer] = number == 1 }
      case "martlet_replication_lag_records":
        if let peer = Int32(Self.label(series)) { lags[peer] = Int64(number) }
      default: break
      }
    }
    guard isNode else { return nil }
  }

  /// The value of a series' only label.
  private static func label(_ series: Substring) -> Substring {
    series.drop { $0 != "\"" }.dropFirst().prefix { $0 != "\"" }
  }
}
