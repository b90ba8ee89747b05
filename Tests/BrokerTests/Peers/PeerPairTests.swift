import Broker
import Testing

@Suite struct `Who a node talks to` {
  private let handshake = PeerHandshake(own: .test(2), nodes: [1, 2, 3])

  private func opening(_ hello: PeerHello, to: Int32 = 2) -> PeerOpening {
    PeerOpening(channel: .bulk, session: 1, to: to, hello: hello)
  }

  private func refusal(_ body: () throws(PeerFault) -> Void) -> String? {
    do throws(PeerFault) {
      try body()
      return nil
    } catch {
      return error.description
    }
  }

  private func refusal(_ opening: PeerOpening) -> String? {
    refusal { () throws(PeerFault) in try handshake.judge(opening) }
  }

  private func answer(
    _ hello: PeerHello, to: Int32 = 2, session: UInt64 = 1, channel: PeerChannel = .bulk
  ) -> String? {
    refusal { () throws(PeerFault) in
      try handshake.judge(
        opening(hello, to: to), from: 3, session: session, channel: channel)
    }
  }

  @Test func `a lower node of its cluster may connect, and nobody else`() {
    #expect(refusal(opening(.test(1))) == nil)
    #expect(refusal(opening(.test(1, cluster: 0))) == nil)
    #expect(
      refusal(opening(.test(1), to: 3)) == "it looks for node 3, and this is node 2")
    #expect(refusal(opening(.test(2))) == "it says it is node 2, which is this node")
    #expect(
      refusal(opening(.test(9))) == "node 9 is none of the nodes that node 2 was told of")
    #expect(refusal(opening(.test(3))) == "node 2 connects to node 3, not the other way round")
    #expect(
      refusal(opening(.test(1, cluster: 8)))
        == "node 1 belongs to cluster 8-8, node 2 to 7-7")
  }

  @Test func `where it connects, only the right node may answer, and what it was asked`() {
    #expect(answer(.test(3)) == nil)
    #expect(answer(.test(3, cluster: 0)) == nil)
    #expect(answer(.test(1)) == "where node 3 should be there is node 1")
    #expect(answer(.test(2)) == "where node 3 should be there is this node")
    #expect(answer(.test(3), to: 1) == "it answered what it was not asked")
    #expect(answer(.test(3), session: 2) == "it answered what it was not asked")
    #expect(answer(.test(3), channel: .urgent) == "it answered what it was not asked")
    #expect(answer(.test(3, cluster: 9)) == "node 3 belongs to cluster 9-9, node 2 to 7-7")
  }

  @Test func `a node may tell news of itself, but not become another`() {
    let life = PeerHello.test(3).life
    func judge(_ hello: PeerHello) -> String? {
      refusal { () throws(PeerFault) in try handshake.judge(news: hello, of: life, node: 3) }
    }
    var news = PeerHello.test(3)
    news.state = [9]
    news.clientPort = 1
    #expect(judge(news) == nil)
    #expect(judge(.test(1)) == "it says it has become another node")
    #expect(judge(.test(3, boot: 2)) == "it says it has become another node")
    #expect(judge(.test(3, cluster: 8)) == "node 3 belongs to cluster 8-8, node 2 to 7-7")
  }
}

@Suite struct `The two connections of a pair` {
  private static func pair(connects: Bool) -> PeerPair {
    PeerPair(connects: connects, formingMilliseconds: 500, firstSession: 40, now: 0)
  }

  private func opening(
    _ channel: PeerChannel, _ session: UInt64, _ hello: PeerHello = .test(1)
  ) -> PeerOpening {
    PeerOpening(channel: channel, session: session, to: 2, hello: hello)
  }

  private func refusal(_ pair: inout PeerPair, _ opening: PeerOpening, now: Int64 = 0) -> String? {
    do throws(PeerFault) {
      _ = try pair.opened(opening, now: now)
      return nil
    } catch {
      return error.description
    }
  }

  /// Both openings, and what follows them.
  private func stand(
    _ pair: inout PeerPair, _ session: UInt64, _ hello: PeerHello = .test(1), now: Int64 = 0
  ) throws -> [PeerPair.Effect] {
    let effects =
      try pair.opened(opening(.urgent, session, hello), now: now)
      + pair.opened(opening(.bulk, session, hello), now: now)
    return effects + (try pair.confirmed(now: now))
  }

  @Test func `who connects has a session when both were answered`() throws {
    var pair = Self.pair(connects: true)
    #expect(pair.deadline == 0)
    #expect(pair.tick(now: 0) == [.connect(session: 40)])
    #expect(pair.tick(now: 1) == [])
    #expect(try pair.opened(opening(.bulk, 40), now: 2) == [])
    #expect(!pair.isStanding)
    #expect(try pair.opened(opening(.urgent, 40), now: 3) == [.stands(.test(1))])
    #expect(pair.isStanding)
    #expect(pair.deadline == nil)
    #expect(pair.tick(now: 10_000) == [])
  }

  @Test func `who accepts waits for a word after both`() throws {
    var pair = Self.pair(connects: false)
    #expect(pair.tick(now: 1000) == [])
    #expect(try pair.opened(opening(.urgent, 7), now: 1) == [])
    #expect(throws: PeerFault("it does not wait until it is answered")) {
      try pair.confirmed(now: 1)
    }
    #expect(try pair.opened(opening(.bulk, 7), now: 2) == [])
    #expect(!pair.isStanding)
    #expect(try pair.confirmed(now: 3) == [.stands(.test(1))])
    #expect(try pair.confirmed(now: 4) == [])
  }

  @Test func `what does not come about in time is given up, and tried again at once`() {
    var pair = Self.pair(connects: true)
    for round in 0..<10 as Range<UInt64> {
      let now = Int64(500 * round)
      #expect(pair.deadline == now)
      #expect(pair.tick(now: now) == [.connect(session: 40 + round)])
      #expect(pair.tick(now: now + 499) == [])
      #expect(pair.deadline == now + 500)
      #expect(pair.tick(now: now + 500) == [.gaveUp, .close(session: 40 + round)])
    }
  }

  @Test func `what fails is tried later and later, counted from try to try`() {
    var pair = Self.pair(connects: true)
    var now: Int64 = 0
    var waits: [Int64] = []
    for session in UInt64(40)..<50 {
      #expect(pair.tick(now: now) == [.connect(session: session)])
      #expect(pair.broke(session: session, why: "refused", now: now) == [.close(session: session)])
      waits.append((pair.deadline ?? 0) - now)
      now = pair.deadline ?? 0
    }
    #expect(waits == [0, 5, 10, 20, 40, 50, 50, 50, 50, 50])
    _ = pair.tick(now: now)
    _ = pair.broke(session: 50, why: "late", now: now + 30)
    #expect(pair.deadline == now + 50)
  }

  @Test func `what stood for a while is made again at once, what did not is not`() throws {
    var pair = Self.pair(connects: true)
    var now: Int64 = 0
    var waits: [Int64] = []
    for (session, stood) in zip(UInt64(40)..., [0, 0, 0, 99, 100, 0, 5000] as [Int64]) {
      #expect(pair.tick(now: now) == [.connect(session: session)])
      _ = try stand(&pair, session, now: now)
      now += stood
      #expect(
        pair.broke(session: session, why: "gone", now: now)
          == [.ended(why: "gone"), .close(session: session)])
      waits.append((pair.deadline ?? 0) - now)
      now = pair.deadline ?? 0
    }
    #expect(waits == [0, 5, 10, 0, 0, 5, 0])
  }

  @Test func `half of a session that breaks takes the other half along`() throws {
    for connects in [true, false] {
      var pair = Self.pair(connects: connects)
      _ = pair.tick(now: 0)
      #expect(try pair.opened(opening(.bulk, 40), now: 1) == [])
      #expect(pair.broke(session: 39, why: "old", now: 2) == [])
      #expect(pair.broke(session: 40, why: "gone", now: 2) == [.close(session: 40)])
      #expect(pair.broke(session: 40, why: "gone", now: 2) == [])
    }
  }

  @Test func `a newer session ends the one before, whether that stood or not`() throws {
    var pair = Self.pair(connects: false)
    _ = try pair.opened(opening(.bulk, 7), now: 0)
    #expect(try pair.opened(opening(.bulk, 8), now: 1) == [.close(session: 7)])
    #expect(try pair.opened(opening(.urgent, 8), now: 1) == [])
    #expect(try pair.confirmed(now: 1) == [.stands(.test(1))])
    #expect(
      try pair.opened(opening(.urgent, 9), now: 2)
        == [.ended(why: "it connected again"), .close(session: 8)])
    #expect(try pair.opened(opening(.bulk, 9), now: 2) == [])
    #expect(try pair.confirmed(now: 2) == [.stands(.test(1))])
  }

  @Test func `a life that came later replaces, whatever its session; one before does not`() throws {
    var pair = Self.pair(connects: false)
    _ = try stand(&pair, 100, .test(1, boot: 5))
    #expect(
      refusal(&pair, opening(.bulk, 200, .test(1, boot: 4)))
        == "node 1 has been started again since")
    #expect(
      refusal(&pair, opening(.bulk, 99, .test(1, boot: 5))) == "node 1 has connected again since")
    #expect(pair.isStanding)
    #expect(
      try stand(&pair, 3, .test(1, boot: 6)) == [
        .ended(why: "it connected again"), .close(session: 100), .stands(.test(1, boot: 6)),
      ])
    // The disk was lost: boots of another incarnation say nothing.
    var other = PeerHello.test(1, boot: 1)
    other.incarnation = 555
    #expect(
      try stand(&pair, 3, other) == [
        .ended(why: "it connected again"), .close(session: 3), .stands(other),
      ])
  }

  @Test func `halves of two lives never make a pair`() throws {
    var connecting = Self.pair(connects: true)
    _ = connecting.tick(now: 0)
    _ = try connecting.opened(opening(.bulk, 40, .test(1, boot: 1)), now: 0)
    #expect(
      refusal(&connecting, opening(.urgent, 40, .test(1, boot: 2)))
        == "its two connections come from two lives of node 1")
    #expect(!connecting.isStanding)
    var accepting = Self.pair(connects: false)
    _ = try accepting.opened(opening(.bulk, 7, .test(1, boot: 1)), now: 0)
    #expect(
      try accepting.opened(opening(.urgent, 7, .test(1, boot: 2)), now: 0) == [.close(session: 7)])
    #expect(throws: PeerFault.self) { try accepting.confirmed(now: 0) }
    #expect(!accepting.isStanding)
  }

  @Test func `a channel is opened once`() throws {
    for connects in [true, false] {
      let again = "it opens a channel that it has already"
      var pair = Self.pair(connects: connects)
      _ = pair.tick(now: 0)
      _ = try pair.opened(opening(.bulk, 40), now: 0)
      #expect(refusal(&pair, opening(.bulk, 40)) == again)
      _ = try pair.opened(opening(.urgent, 40), now: 0)
      #expect(refusal(&pair, opening(.urgent, 40)) == again)
      #expect(refusal(&pair, opening(.bulk, 40)) == again)
      _ = try pair.confirmed(now: 0)
      #expect(refusal(&pair, opening(.bulk, 40)) == again)
      #expect(pair.isStanding)
    }
  }

  @Test func `an answer to what was given up comes too late`() {
    var pair = Self.pair(connects: true)
    _ = pair.tick(now: 0)
    _ = pair.tick(now: 500)
    #expect(refusal(&pair, opening(.bulk, 40), now: 500) == "it comes too late")
    #expect(pair.tick(now: 500) == [.connect(session: 41)])
    #expect(refusal(&pair, opening(.bulk, 40), now: 500) == "it comes too late")
  }
}

@Suite struct `A sentence is said once in a while` {
  @Test func `the same is said again after ten seconds, with how often it was not`() {
    var limit = SentenceLimit()
    #expect(limit.admit("a", now: 0) == "a")
    #expect(limit.admit("b", now: 0) == "b")
    for now in stride(from: Int64(0), to: 10_000, by: 100) {
      #expect(limit.admit("a", now: now) == nil)
    }
    #expect(limit.admit("a", now: 10_000) == "a (and 100 times since it was last said)")
    #expect(limit.admit("b", now: 10_000) == "b")
  }

  @Test func `many different ones are bounded too`() {
    var limit = SentenceLimit()
    let said = (0..<1000).compactMap { limit.admit("\($0)", now: 5) }
    #expect(said.count == SentenceLimit.sentencesMax)
    #expect(limit.admit("later", now: 10_005) == "later")
  }
}
