import Broker
import Bytes
import KafkaWire
import Platform
import Testing

@Suite struct `A connection inside the process` {
  private let directory: TemporaryDirectory
  private let host: NodeHost

  init() throws {
    directory = try TemporaryDirectory()
    host = try NodeHost(NodeHostOptions(directory: directory.path))
  }

  private func withTopic(_ name: String) async throws -> LocalClient {
    let client = LocalClient(host.localLink)
    let made = try await client.call(Requests.createTopic(name), version: 5)
    #expect(made.topics.map(\.errorCode) == [ErrorCode.none])
    return client
  }

  @Test func `says which versions it speaks`() async throws {
    let client = LocalClient(host.localLink)
    let response = try await client.call(ApiVersionsRequest(), version: 0)
    #expect(response.errorCode == .none)
    #expect(response.apiKeys.contains { $0.apiKey == APIKey.fetch.rawValue })
    host.stop()
  }

  @Test func `gives back what was produced, holes filled`() async throws {
    let client = try await withTopic("t")
    let produced = try await client.call(Requests.produce("t", ["a", "b"]), version: 9)
    #expect(produced.responses[0].partitionResponses[0].errorCode == .none)
    #expect(produced.responses[0].partitionResponses[0].baseOffset == 0)
    let large = String(repeating: "x", count: 300_000)
    _ = try await client.call(Requests.produce("t", [large]), version: 9)
    let fetched = try await client.call(Requests.fetch("t"), version: 12)
    #expect(try fetched.values() == ["a", "b", large])
    #expect(fetched.responses[0].partitions[0].highWatermark == 3)
    host.stop()
  }

  @Test func `answers in the order of the requests, though the first waits longest`() async throws {
    let client = try await withTopic("t")
    let waits = try client.send(
      Requests.fetch("t", maxWait: 60_000, minBytes: 1), version: 12)
    let asks = try client.send(ApiVersionsRequest(), version: 0)
    let other = LocalClient(host.localLink)
    _ = try await other.call(Requests.produce("t", ["late"]), version: 9)
    let first = try await client.receive()
    let fetched = try client.decode(first, FetchRequest.self, version: 12, correlation: waits)
    #expect(try fetched.values() == ["late"])
    _ = try client.decode(
      try await client.receive(), ApiVersionsRequest.self, version: 0, correlation: asks)
    host.stop()
  }

  @Test func `more requests than may be open at once are all answered`() async throws {
    let client = try await withTopic("t")
    let produce = try Requests.produce("t", ["v"])
    var sent: [Int32] = []
    for _ in 0..<500 { sent.append(try client.send(produce, version: 9)) }
    for (index, correlation) in sent.enumerated() {
      let response = try client.decode(
        try await client.receive(), ProduceRequest.self, version: 9, correlation: correlation)
      #expect(response.responses[0].partitionResponses[0].baseOffset == Int64(index))
    }
    host.stop()
  }

  @Test func `closed by its client during a long poll, it ends once and the node goes on`()
    async throws
  {
    let client = try await withTopic("t")
    _ = try client.send(Requests.fetch("t", maxWait: 60_000), version: 12)
    client.close()
    #expect(await client.end() == nil)
    let other = LocalClient(host.localLink)
    _ = try await other.call(Requests.produce("t", ["after"]), version: 9)
    #expect(client.endings == 1)
    await #expect(throws: LocalClient.Failure.self) { try await client.receive() }
    host.stop()
    #expect(client.endings == 1)
  }

  @Test func `what was sent before the close is done`() async throws {
    let client = try await withTopic("t")
    for _ in 0..<50 { _ = try client.send(Requests.produce("t", ["v"], acks: 0), version: 9) }
    client.close()
    _ = await client.end()
    let other = LocalClient(host.localLink)
    // Behind the others in the journal, so that they are readable when it is answered.
    _ = try await other.call(Requests.produce("t", ["last"]), version: 9)
    let fetched = try await other.call(
      Requests.fetch("t", maxWait: 10_000, minBytes: 51 * 60), version: 12)
    #expect(try fetched.values().count == 51)
    host.stop()
  }

  @Test func `a long poll is answered when the node stops, and the client is told`() async throws {
    let client = try await withTopic("t")
    let sent = try client.send(Requests.fetch("t", maxWait: 60_000), version: 12)
    // Behind the fetch, so that it waits when this is answered.
    let other = LocalClient(host.localLink)
    _ = try await other.call(ApiVersionsRequest(), version: 0)
    host.stop()
    let fetched = try client.decode(
      try await client.receive(), FetchRequest.self, version: 12, correlation: sent)
    #expect(try fetched.values() == [])
    #expect(await client.end() == "the node has stopped")
    let late = LocalClient(host.localLink)
    #expect(await late.end() == "the node has stopped")
    #expect([client.endings, other.endings, late.endings] == [1, 1, 1])
  }

  @Test func `what is no request ends the connection, and only that one`() async throws {
    let other = LocalClient(host.localLink)
    let client = LocalClient(host.localLink)
    client.send(raw: [0xff, 0xff, 0, 0])
    #expect(await client.end() != nil)
    _ = try await other.call(ApiVersionsRequest(), version: 0)
    host.stop()
  }

  @Test func `a request longer than any may be ends the connection`() async throws {
    let other = LocalClient(host.localLink)
    let client = LocalClient(host.localLink)
    client.send(raw: [UInt8](repeating: 0, count: Frame.sizeMax + 1))
    let why = await client.end()
    #expect(why?.contains("\(Frame.sizeMax + 1)") == true)
    _ = try await other.call(ApiVersionsRequest(), version: 0)
    host.stop()
  }

  @Test func `a node that is started again has what it had, and its directory is its own`()
    async throws
  {
    let client = try await withTopic("t")
    _ = try await client.call(Requests.produce("t", ["kept"]), version: 9)
    #expect(throws: NodeHostError.self) {
      _ = try NodeHost(NodeHostOptions(directory: directory.path))
    }
    host.stop()
    let again = try NodeHost(NodeHostOptions(directory: directory.path))
    let second = LocalClient(again.localLink)
    let fetched = try await second.call(Requests.fetch("t"), version: 12)
    #expect(try fetched.values() == ["kept"])
    again.stop()
  }
}
