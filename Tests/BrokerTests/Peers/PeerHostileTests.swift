import Broker
import Bytes
import Platform
import Testing

@Suite(.serialized) struct `Whatever comes to a node's port` {
  /// Node 2, which others connect to, and which still works when the test is over.
  private func node(
    _ options: PeerOptions = .patient, _ test: (PeerNode) throws -> Void
  ) throws {
    let node = try PeerNode(.test(2), peers: [(1, 0), (2, 0)], options: options)
    defer { node.stop() }
    try test(node)
    let before = node.told.withLock { $0.connected.count }
    let friend = try PeerNode(.test(1, boot: 99), peers: [(1, 0), (2, node.port)])
    defer { friend.stop() }
    #expect(friend.isConnected(to: 2))
    #expect(node.sees { $0.connected.count > before && $0.standing.contains(1) })
    friend.send([1, 2, 3], to: 2)
    #expect(node.sees { $0.frames.last?.bytes == [1, 2, 3] })
  }

  @Test func `noise is closed, in words`() throws {
    try node { node in
      var random = SeededGenerator(seed: 3)
      for _ in 0..<200 {
        let connection = try RawPeer(port: node.port)
        let bytes = (0..<4 + random.below(200)).map { _ in UInt8(truncatingIfNeeded: random.next())
        }
        connection.send(bytes)
        // The size alone gives most of it away; what is left is given up by time.
        #expect(try connection.isClosed())
      }
      #expect(node.told.withLock { $0.connected.isEmpty })
      #expect(
        node.sees {
          $0.lines.contains {
            $0.hasPrefix(
              "node 2 closed a connection of 127.0.0.1, which did not say who it is: it announced ")
          }
        })
    }
  }

  @Test(
    arguments: [
      ([0, 0, 0, 0], "it sent an empty frame"),
      (
        [0xff, 0xff, 0xff, 0xff],
        "it announced a frame of 4294967295 bytes, where at most 66560 may come"
      ),
      ([0, 0, 0, 1, 200], "it sent a frame of unknown kind 200"),
      (PeerFrame.message([1]).bytes(), "it does not say who it is"),
      (PeerFrame.answer(time: 0).bytes(), "it does not say who it is"),
    ] as [([UInt8], String)])
  func `what does not begin with an opening is closed`(bytes: [UInt8], why: String) throws {
    try node { node in
      let connection = try RawPeer(port: node.port)
      connection.send(bytes)
      _ = try connection.refusal()
      #expect(node.sees { $0.lines.contains { $0.hasSuffix(why) } })
    }
  }

  @Test func `who says nothing is closed after a while, and does not keep others out`() throws {
    try node { node in
      let silent = try (0..<100).map { _ in try RawPeer(port: node.port) }
      let session = try RawSession(.test(1), to: node)
      #expect(node.isConnected(to: 1))
      for connection in silent { #expect(try connection.receive() == nil) }
      #expect(
        node.sees {
          $0.lines.contains { $0.hasPrefix("127.0.0.1 connected to node 2 and did not say") }
        })
      session.bulk.end()
      #expect(node.isDisconnected(from: 1))
    }
  }

  @Test func `a node that is not one of the cluster's is told so, and so are its people`() throws {
    try node { node in
      for (hello, to, why) in [
        (PeerHello.test(1), 3, "it looks for node 3, and this is node 2"),
        (.test(2), 2, "it says it is node 2, which is this node"),
        (.test(0), 2, "node 0 is none of the nodes that node 2 was told of"),
        (.test(1, cluster: 8), 2, "node 1 belongs to cluster 8-8, node 2 to 7-7"),
      ] as [(PeerHello, Int32, String)] {
        let connection = try RawPeer(port: node.port)
        connection.send(
          .opening(PeerOpening(channel: .bulk, session: 1, to: to, hello: hello)))
        #expect(try connection.refusal() == why)
        #expect(node.sees { $0.lines.contains { $0.hasSuffix(": " + why) } })
      }
    }
  }

  @Test(arguments: PeerChannel.allCases)
  func `the end of either connection is the loss of the peer, at once`(
    channel: PeerChannel
  ) throws {
    try node { node in
      let session = try RawSession(.test(1), to: node)
      #expect(session.answers == [.test(2), .test(2)])
      #expect(node.isConnected(to: 1))
      session.connection(channel).end()
      #expect(node.isDisconnected(from: 1))
      #expect(node.told.withLock { $0.lost.map(\.why) } == ["it closed the connection"])
      // The other half goes with it.
      let other = session.connection(channel == .bulk ? .urgent : .bulk)
      #expect(try other.isClosed())
    }
  }

  @Test(arguments: PeerChannel.allCases)
  func `what is malformed between nodes that know each other closes both connections`(
    channel: PeerChannel
  ) throws {
    try node { node in
      for (index, bytes)
        in ([
          [0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff], [0, 0, 0, 1, 99], [0, 0, 0, 3, 4, 1, 2],
          PeerFrame.opening(
            PeerOpening(channel: channel, session: 1, to: 2, hello: .test(1))
          ).bytes(),
          PeerFrame.news(.test(3)).bytes(), PeerFrame.refusal("no").bytes(),
        ] as [[UInt8]]).enumerated()
      {
        let session = try RawSession(.test(1), to: node, session: UInt64(index))
        #expect(node.sees { $0.connected.count == index + 1 })
        session.connection(channel).send(bytes)
        #expect(node.sees { $0.lost.count == index + 1 })
        #expect(try session.bulk.isClosed())
        #expect(try session.urgent.isClosed())
      }
      #expect(node.told.withLock { $0.lost.allSatisfy { $0.why.hasPrefix("it ") } })
    }
  }

  @Test func `a session is not one before its other side has both answers`() throws {
    try node { node in
      // As they lie in the queue of a process that was stopped: said who it is, and gone.
      for session in 0..<50 as Range<UInt64> {
        _ = try RawSession(.test(1), to: node, session: session, confirms: false)
      }
      // What does not wait for the answers is refused.
      let early = try RawPeer(port: node.port)
      early.send(
        .opening(PeerOpening(channel: .urgent, session: 60, to: 2, hello: .test(1))))
      early.send(.message([1]))
      #expect(
        node.sees { $0.lines.contains { $0.hasSuffix("it does not wait until it is answered") } })
      #expect(node.told.withLock { $0.connected.isEmpty })
    }
  }

  @Test func `one that was restarted replaces its old half, and the old one stays out`() throws {
    try node { node in
      let old = try RawSession(.test(1, boot: 1), to: node, session: 50)
      #expect(node.isConnected(to: 1))
      let new = try RawSession(.test(1, boot: 2), to: node, session: 3)
      #expect(node.sees { $0.connected.map(\.boot) == [1, 2] })
      #expect(node.told.withLock { $0.lost.map(\.why) } == ["it connected again"])
      #expect(try old.bulk.isClosed())
      #expect(try old.urgent.isClosed())
      let late = try RawPeer(port: node.port)
      late.send(
        .opening(PeerOpening(channel: .bulk, session: 51, to: 2, hello: .test(1, boot: 1))))
      #expect(try late.refusal() == "node 1 has been started again since")
      new.bulk.send(.message([7]))
      #expect(node.sees { $0.frames.last?.bytes == [7] })
    }
  }

  @Test func `one that says nothing more is lost at the bound`() throws {
    var options = PeerOptions.patient
    options.silenceMilliseconds = 150
    try node(options) { node in
      let before = MonotonicClock.milliseconds()
      let session = try RawSession(.test(1), to: node)
      #expect(node.sees { $0.connected.count == 1 })
      #expect(node.isDisconnected(from: 1))
      #expect(MonotonicClock.milliseconds() - before >= 150)
      let why = node.told.withLock { $0.lost.map(\.why) }
      #expect(why.count == 1 && why[0].hasPrefix("it is silent for 1"), "\(why)")
      #expect(try session.bulk.isClosed())
    }
  }

  @Test func `one that stands still is lost, heard all the same, and back when it moves`() throws {
    try node(.watchful) { node in
      let session = try RawSession(.test(1), to: node)
      #expect(node.isConnected(to: 1))
      let stuck = PeerProgress(loop: 1, journal: 1, loopHasWork: false, journalHasWork: true)
      session.beat(stuck, watched: 1000)
      session.beat(stuck, watched: 1400)
      #expect(node.isDisconnected(from: 1))
      #expect(
        node.told.withLock { $0.lost.map(\.why) } == ["its journal stands still for 400 ms"])
      session.urgent.send(.message([1]))
      session.bulk.send(.message([2]))
      #expect(node.sees { $0.frames.count == 2 })
      var moves = stuck
      moves.journal = 2
      session.beat(moves, watched: 1420)
      #expect(node.isConnected(to: 1))
      #expect(node.told.withLock { $0.connected } == [.test(1), .test(1)])
      // And ends once, whether it stood still or not.
      session.beat(moves, watched: 1900)
      #expect(node.isDisconnected(from: 1))
      session.urgent.end()
      #expect(try session.bulk.isClosed())
      #expect(node.told.withLock { $0.lost.count } == 2)
    }
  }

  @Test func `one that does not read is closed when too much waits for it`() throws {
    var options = PeerOptions.patient
    options.queueBytesMax = 1 << 20
    try node(options) { node in
      let session = try RawSession(.test(1), to: node)
      #expect(node.isConnected(to: 1))
      // The kernel takes some megabytes by itself.
      for _ in 0..<1000 {
        guard node.told.withLock({ $0.lost.isEmpty }) else { break }
        node.send([UInt8](repeating: 1, count: 100_000), to: 1)
        let queue = node.perform { $0.metrics[0].queueBytes } ?? 0
        #expect(queue <= 1 << 20)
      }
      #expect(node.sees { $0.lost.count == 1 })
      let why = node.told.withLock { $0.lost[0].why }
      #expect(why.hasPrefix("it does not take the ") && why.hasSuffix(" bytes that wait for it"))
      #expect(node.perform { $0.metrics[0].queueBytes } == 0)
      _ = session
    }
  }

  @Test func `news are told to who was greeted before them`() throws {
    try node { node in
      let session = try RawSession(.test(1), to: node, confirms: false)
      var news = PeerHello.test(2)
      news.state = [4, 5, 6]
      _ = node.perform { [news] in $0.update(hello: news) }
      session.beat()
      #expect(node.isConnected(to: 1))
      let first = try (0..<3).compactMap { _ in try session.urgent.receive() }
      #expect(first.contains(.news(news)))
      news.clusterLow = 8
      _ = node.perform { [news] in $0.update(hello: news) }
      #expect(node.sees { $0.lost.map(\.why) == ["node 1 belongs to cluster 7-7, node 2 to 7-8"] })
      _ = node.perform { $0.update(hello: .test(2)) }
    }
  }
}
