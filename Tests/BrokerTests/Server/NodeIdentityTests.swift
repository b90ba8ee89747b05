import Broker
import Glibc
import Testing

@Suite struct `A data directory` {
  @Test func `is of the node that made it, or opened it first`() throws {
    let made = try TemporaryDirectory()
    defer { withExtendedLifetime(made) {} }
    let directory = made.path
    func open(_ id: Int32) throws {
      var options = NodeHostOptions(directory: directory)
      options.nodeID = id
      _ = try HostedNode(options) { _ in }
    }
    func refusal(_ id: Int32) -> String? {
      do {
        try open(id)
        return nil
      } catch { return "\(error)" }
    }
    try open(1)
    #expect(refusal(7)?.hasPrefix("\(directory) belongs to node 1, not to node 7; ") == true)
    try open(1)
    // From before there was the file.
    #expect(remove(directory + "/node.id") == 0)
    try open(7)
    #expect(refusal(1)?.contains("belongs to node 7") == true)
  }
}
