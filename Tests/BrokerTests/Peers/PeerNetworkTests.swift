import Broker
import Bytes
import Platform
import Testing

@Suite(.serialized) struct `Nodes talk to each other` {
  /// Nodes 1 and 2. The second is made first: it is the one that listens.
  private func two(_ options: PeerOptions = PeerOptions()) throws -> (PeerNode, PeerNode) {
    let second = try PeerNode(.test(2), peers: [(1, 0), (2, 0)], options: options)
    let first = try PeerNode(.test(1), peers: [(1, 0), (2, second.port)], options: options)
    return (first, second)
  }

  @Test func `each hears who the other is`() throws {
    let (first, second) = try two()
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
    #expect(second.isConnected(to: 1))
    #expect(first.told.withLock { $0.connected } == [.test(2)])
    #expect(second.told.withLock { $0.connected } == [.test(1)])
  }

  @Test(arguments: PeerChannel.allCases)
  func `ten thousand frames arrive both ways in their order`(channel: PeerChannel) throws {
    let (first, second) = try two()
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
    #expect(second.isConnected(to: 1))
    let count = 10_000
    // Sizes from nothing to a few whole reads of the socket.
    let frames: [[UInt8]] = (0..<count).map { index in
      let size = index % 1000 == 0 ? 200_000 : index * 7 % 300
      return [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size)
    }
    for start in stride(from: 0, to: count, by: 100) {
      first.post { network in
        for frame in frames[start..<start + 100] { network.send(frame, to: 2, channel) }
      }
      second.post { network in
        for frame in frames[start..<start + 100] { network.send(frame, to: 1, channel) }
      }
    }
    #expect(first.sees { $0.frames.count == count })
    #expect(second.sees { $0.frames.count == count })
    #expect(first.told.withLock { $0.frames.map(\.bytes) } == frames)
    #expect(second.told.withLock { $0.frames.map(\.bytes) } == frames)
    #expect(first.told.withLock { $0.lost.map(\.why) } == [])
  }

  @Test func `the end of a node is seen at once, and its return`() throws {
    let (first, second) = try two()
    defer { first.stop() }
    #expect(first.isConnected(to: 2))
    #expect(second.isConnected(to: 1))
    let port = second.port
    let before = MonotonicClock.milliseconds()
    second.stop()
    #expect(first.isDisconnected(from: 2))
    // It was an end, not a silence.
    #expect(MonotonicClock.milliseconds() - before < 150)
    #expect(first.told.withLock { $0.lost.map(\.why) } == ["it closed the connection"])
    let again = try PeerNode(.test(2, boot: 2), on: port, peers: [(1, 0), (2, 0)])
    defer { again.stop() }
    #expect(first.isConnected(to: 2))
    #expect(again.isConnected(to: 1))
    #expect(first.told.withLock { $0.connected.last?.boot } == 2)
    #expect(first.perform { $0.metrics.map(\.reconnects) } == [1])
  }
}
