import Broker
import Bytes
import Platform
import Testing

@Suite(.serialized) struct `Nodes talk to each other` {
  /// Nodes 1 and 2. The second is made first: it is the one that listens.
  private func two(_ options: PeerOptions = .patient) throws -> (PeerNode, PeerNode) {
    // It may come back on the same one.
    let port = try #require(Socket.freePorts(1)?.first)
    let second = try PeerNode(.test(2), on: port, peers: [(1, 0), (2, 0)], options: options)
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
    second.stop()
    #expect(first.isDisconnected(from: 2))
    // It was an end, not a silence.
    #expect(first.told.withLock { $0.lost.map(\.why) } == ["it closed the connection"])
    let again = try PeerNode(.test(2, boot: 2), on: port, peers: [(1, 0), (2, 0)])
    defer { again.stop() }
    #expect(first.isConnected(to: 2))
    #expect(again.isConnected(to: 1))
    #expect(first.told.withLock { $0.connected.last?.boot } == 2)
    #expect(first.perform { $0.metrics.map(\.reconnects) } == [1])
  }

  @Test func `three nodes find each other, in whatever order they start`() throws {
    // Every node has to know them all.
    let ports = try #require(Socket.freePorts(3))
    let peers = ports.enumerated().map { (Int32($0 + 1), $1) }
    var nodes: [PeerNode] = []
    defer { for node in nodes { node.stop() } }
    for (id, port) in peers { nodes.append(try PeerNode(.test(id), on: port, peers: peers)) }
    for node in nodes {
      for other in nodes where other.id != node.id {
        #expect(node.isConnected(to: other.id))
        node.send([UInt8(node.id), 9], to: other.id, .urgent)
        #expect(other.sees { $0.frames.contains { $0.node == node.id && $0.bytes.last == 9 } })
      }
    }
    #expect(nodes.allSatisfy { $0.told.withLock { $0.lost.isEmpty } })
  }

  @Test func `a node is found by its name too`() throws {
    let second = try PeerNode(.test(2), peers: [(1, 0), (2, 0)])
    let first = try PeerNode(
      .test(1), peers: [(1, 0), (2, second.port)], host: "localhost")
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
  }

  @Test func `another cluster's node is refused on both sides, and tried again`() throws {
    let second = try PeerNode(.test(2, cluster: 8), peers: [(1, 0), (2, 0)])
    let first = try PeerNode(.test(1), peers: [(1, 0), (2, second.port)])
    defer {
      first.stop()
      second.stop()
    }
    let why = "node 1 belongs to cluster 7-7, node 2 to 8-8"
    #expect(second.sees { $0.lines.contains { $0.hasSuffix(why) } })
    #expect(first.sees { $0.lines.contains { $0.hasSuffix("it refuses: " + why) } })
    #expect(first.told.withLock { $0.connected.isEmpty })
    // It was a mistake, and is mended.
    _ = second.perform { $0.update(hello: .test(2)) }
    #expect(first.isConnected(to: 2))
    #expect(second.isConnected(to: 1))
  }

  @Test func `an address that leads to another node is refused`() throws {
    let second = try PeerNode(.test(2), peers: [(1, 0), (2, 0), (3, 0)])
    let first = try PeerNode(.test(1), peers: [(1, 0), (3, second.port)])
    defer {
      first.stop()
      second.stop()
    }
    let why = "it refuses: it looks for node 3, and this is node 2"
    #expect(first.sees { $0.lines.contains { $0.hasSuffix(why) } })
    #expect(first.told.withLock { $0.connected.isEmpty })
  }

  @Test func `where the kernel accepts and nobody answers, nothing waits for it`() throws {
    // As a process that was stopped.
    let stopped = try Socket.listen(SocketAddress(host: "127.0.0.1", port: 0))
    let third = try PeerNode(.test(3), peers: [(1, 0), (2, 0), (3, 0)])
    let first = try PeerNode(
      .test(1), peers: [(1, 0), (2, stopped.localPort), (3, third.port)])
    defer {
      first.stop()
      third.stop()
    }
    #expect(first.isConnected(to: 3))
    #expect(
      first.sees {
        $0.lines.contains(
          "node 1 gave up a connection to node 2, which did not say who it is")
      })
    #expect(first.told.withLock { $0.lost.isEmpty && $0.standing == [3] })
  }

  @Test func `what a node says of itself reaches who is connected, who is told again`() throws {
    let (first, second) = try two()
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
    #expect(second.isConnected(to: 1))
    var news = PeerHello.test(1)
    news.state = [UInt8](repeating: 9, count: PeerHello.stateBytesMax)
    news.journalGroup = 77
    _ = first.perform { [news] in $0.update(hello: news) }
    #expect(second.sees { $0.connected == [.test(1), news] })
    #expect(second.told.withLock { $0.lost.isEmpty })
    // Another life is another node: it is lost, and comes back.
    _ = first.perform { $0.update(hello: .test(1, boot: 9)) }
    #expect(second.sees { $0.connected.last?.boot == 9 })
    #expect(second.told.withLock { $0.lost.count } == 1)
  }

  @Test func `a loop that stands still is seen from outside, and when it moves again`() throws {
    let (first, second) = try two(.watchful)
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
    #expect(second.isConnected(to: 1))
    let gate = Condition(false)
    defer {
      gate.withLock { $0 = true }
      gate.broadcast()
    }
    second.post { _ in gate.wait(until: { $0 }) { _ in } }
    #expect(first.isDisconnected(from: 2))
    let why = first.told.withLock { $0.lost.map(\.why) }
    #expect(why.allSatisfy { $0.hasPrefix("its loop stands still for ") }, "\(why)")
    gate.withLock { $0 = true }
    gate.broadcast()
    #expect(first.isConnected(to: 2))
    // The connections stood all the time.
    #expect(first.perform { $0.metrics[0].reconnects } == 0)
  }

  @Test func `a journal that stands still is known to its own node and to others`() throws {
    let (first, second) = try two(.watchful)
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
    #expect(second.isConnected(to: 1))
    _ = second.perform {
      $0.progressed(loop: 1, journal: 1, loopHasWork: false, journalHasWork: true)
    }
    #expect(first.sees { $0.lost.contains { $0.why.hasPrefix("its journal stands still for ") } })
    #expect(second.sees { $0.stalls == [true] })
    // Its word is heard all the same: it gives its leaderships away.
    second.send([5], to: 1, .urgent)
    #expect(first.sees { $0.frames.last?.bytes == [5] })
    _ = second.perform {
      $0.progressed(loop: 1, journal: 2, loopHasWork: false, journalHasWork: true)
    }
    #expect(first.isConnected(to: 2))
    #expect(second.sees { $0.stalls.starts(with: [true, false]) })
  }

  @Test func `what is urgent passes what is much`() throws {
    let (first, second) = try two()
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
    first.post { network in
      for _ in 0..<15 { network.send([UInt8](repeating: 0, count: 4_000_000), to: 2, .bulk) }
      network.send([1], to: 2, .urgent)
    }
    #expect(second.sees { $0.frames.count == 16 })
    // How many go before it is the sockets' business; it does not wait for all of them.
    let place = try #require(second.told.withLock { $0.frames.firstIndex { $0.bytes == [1] } })
    #expect(place < 15)
  }

  @Test func `what is too large for a channel is said and not sent`() throws {
    let (first, second) = try two()
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
    first.send([UInt8](repeating: 0, count: PeerFrame.urgentBytesMax), to: 2, .urgent)
    first.send([UInt8](repeating: 7, count: PeerFrame.urgentBytesMax - 1), to: 2, .urgent)
    #expect(second.sees { $0.frames.map(\.bytes.count) == [PeerFrame.urgentBytesMax - 1] })
    #expect(
      first.sees {
        $0.lines.contains(
          "a frame of 1048576 bytes for node 2 is too large for its channel: dropped")
      })
  }

  @Test func `what went over the connections is counted on both sides`() throws {
    let (first, second) = try two()
    defer {
      first.stop()
      second.stop()
    }
    #expect(first.isConnected(to: 2))
    #expect(second.isConnected(to: 1))
    for _ in 0..<10 { first.send([UInt8](repeating: 0, count: 995), to: 2) }
    #expect(second.sees { $0.frames.count == 10 })
    var sender = try #require(first.perform { $0.metrics }).first
    while sender?.roundTripNanoseconds == 0 { sender = first.perform { $0.metrics }?.first }
    let sent = try #require(sender)
    let taken = try #require(second.perform { $0.metrics }?.first)
    #expect(sent.node == 2 && taken.node == 1 && sent.isConnected && taken.isConnected)
    #expect(sent.bytesOut >= 10_000 && taken.bytesIn >= 10_000)
    #expect(sent.framesOut >= 11 && taken.framesIn >= 11)
    #expect(sent.roundTripNanoseconds < 1_000_000_000 && sent.roundTripAverageNanoseconds > 0)
  }
}
