internal import Broker
internal import Platform

/// The nodes of a cluster as the command line names them.
enum ClusterMembers {
  /// `ID@HOST:PORT/PEERPORT,...`: an odd number of nodes, each with where its clients and its peers
  /// connect.
  static func parse(_ text: String) throws -> [ClusterMember] {
    let members = try text.split(separator: ",", omittingEmptySubsequences: false).map(member)
    for member in members where members.filter({ $0.id == member.id }).count > 1 {
      throw UsageError("--cluster names node \(member.id) twice.")
    }
    return members.sorted { $0.id < $1.id }
  }

  private static func member(_ text: Substring) throws -> ClusterMember {
    let parts = text.split(separator: "@", maxSplits: 1)
    let addresses = parts.last?.split(separator: "/", maxSplits: 1) ?? []
    guard parts.count == 2, addresses.count == 2, let id = Int32(parts[0]), id >= 0,
      let client = SocketAddress(String(addresses[0])), let port = UInt16(addresses[1])
    else {
      throw UsageError(
        "--cluster takes ID@HOST:PORT/PEERPORT for each node, with commas between, not '\(text)'.")
    }
    return ClusterMember(
      id: id, client: client, peer: SocketAddress(host: client.host, port: port))
  }
}
