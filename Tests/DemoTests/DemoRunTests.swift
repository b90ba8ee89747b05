import Demo
import Foundation
import Platform
import Testing

/// The program that the nodes are, beside the tests'.
private let martlet =
  URL(filePath: Console.executable).deletingLastPathComponent().path() + "martlet"
private let isPossible = [martlet, "/usr/lib/postgresql/15/bin/postgres"].allSatisfy {
  FileManager.default.fileExists(atPath: $0)
}

@Suite(.enabled(if: isPossible, "Postgres 15 or \(martlet) is not there"))
struct `A demonstration` {
  @MainActor
  @Test func `of three nodes, one of which is killed, has the totals of the source`() throws {
    var options = Demo.Options()
    options.seconds = 8
    options.roundsPerSecond = 100
    options.json = true
    options.executable = martlet
    options.listen = SocketAddress(host: "127.0.0.1", port: 0)
    let pause = Condition(())
    let report = try #require(
      try Demo(options).run { milliseconds in
        pause.wait(until: { _ in false }, milliseconds: milliseconds) { _ in }
        return false
      })
    #expect(report.isEqual, "\(report.text)")
    #expect(report.captured == report.topics.reduce(0) { $0 + $1.source })
    let failover = try #require(report.failover)
    #expect([2, 3].contains(failover.node))
    #expect(try #require(failover.moved) > 0)
    #expect(try #require(failover.milliseconds) < 8000)
    // It was away for three seconds.
    #expect(try #require(failover.caughtUpMilliseconds) >= 3000)
  }
}
