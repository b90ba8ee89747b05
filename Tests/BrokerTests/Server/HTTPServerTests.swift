import Broker
import Glibc
import Platform
import Testing

@Suite struct `The HTTP server` {
  private static func server(_ host: String, _ port: UInt16) throws -> HTTPServer {
    try HTTPServer(SocketAddress(host: host, port: port)) { _ in HTTPResponse("here") }
  }

  @Test func `does not share its port, and leaves it free`() throws {
    var first: HTTPServer? = try Self.server("127.0.0.1", 0)
    let port = try #require(first?.port)
    #expect(port != 0)
    #expect(
      throws: SocketError.failed("listening on 127.0.0.1:\(port)", errno: EADDRINUSE)
    ) { _ = try Self.server("127.0.0.1", port) }
    first = nil
    let second = try Self.server("127.0.0.1", port)
    #expect(second.port == port)
  }

  @Test func `takes names`() throws {
    #expect(try Self.server("localhost", 0).port != 0)
  }
}
