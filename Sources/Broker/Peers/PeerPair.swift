/// The two connections to one peer: which are being made, which stand.
///
/// ```
/// waiting ──(time, if this side connects; or the other side's opening)──▶ forming
/// forming ──(both openings have come; at who accepts, a word after them)▶ standing
/// forming ──(either breaks, or it takes too long)───────────────────────▶ waiting
/// standing ──(either breaks, the peer is silent, a newer session opens)─▶ waiting
/// ```
///
/// (1) There is one session at most: before another begins, the one before is closed, both of it.
/// (2) A session that has stood ends with exactly one `.ended`.
/// (3) Who accepts takes a newer session for the end of the one before, of which it may not have
///     heard: the peer has restarted, or its end got lost.
/// (4) Who accepts waits until the other side, which has both answers then, says something more: a
///     process that was stopped finds in the kernel's queue all connections that were begun and
///     given up meanwhile.
///
/// Times are milliseconds of a clock that only goes forward.
package struct PeerPair {
  package enum Effect: Equatable {
    /// Begin both connections of a session.
    case connect(session: UInt64)
    case stands(PeerHello)
    /// The other side did not say who it is in time.
    case gaveUp
    case ended(why: String)
    /// Close what there is of the session.
    case close(session: UInt64)
  }

  private struct Forming {
    var session: UInt64
    var deadline: Int64
    /// Of the opening that has come first.
    var half: (life: PeerLife, channel: PeerChannel)?
    /// The other has come too.
    var isWhole = false
  }

  private struct Standing {
    var session: UInt64
    var life: PeerLife
    var since: Int64
  }

  private enum State {
    case waiting(until: Int64)
    case forming(Forming)
    case standing(Standing)
  }

  private let connects: Bool
  private let formingMilliseconds: Int64
  private var state: State
  /// What the peer said of itself on the urgent connection of the session.
  private var hello: PeerHello?
  private var nextSession: UInt64
  private var backoff = ReconnectBackoff()
  /// When the last session was begun from here.
  private var begun: Int64

  /// `firstSession` is above those of any earlier pair of this life.
  package init(connects: Bool, formingMilliseconds: Int64, firstSession: UInt64, now: Int64) {
    self.connects = connects
    self.formingMilliseconds = formingMilliseconds
    nextSession = firstSession
    begun = now
    state = .waiting(until: now)
  }

  package var isStanding: Bool { if case .standing = state { true } else { false } }

  /// What there is of connections belongs to it.
  package var session: UInt64? {
    switch state {
    case .waiting: nil
    case .forming(let forming): forming.session
    case .standing(let standing): standing.session
    }
  }

  /// When `tick` has something to do.
  package var deadline: Int64? {
    switch state {
    case .waiting(let until): connects ? until : nil
    case .forming(let forming): forming.deadline
    case .standing: nil
    }
  }

  package mutating func tick(now: Int64) -> [Effect] {
    switch state {
    case .waiting(let until) where connects && now >= until:
      let session = nextSession
      nextSession &+= 1
      begun = now
      state = .forming(Forming(session: session, deadline: now + formingMilliseconds))
      return [.connect(session: session)]
    case .forming(let forming) where now >= forming.deadline:
      return [.gaveUp] + end(why: "", now: now)
    case .waiting, .forming, .standing: return []
    }
  }

  /// The other side's opening has come, on a connection that this side began or accepted, and was
  /// found good. Throws why that connection is to be refused all the same.
  package mutating func opened(_ opening: PeerOpening, now: Int64) throws(PeerFault) -> [Effect] {
    var effects: [Effect] = []
    if connects {
      guard session == opening.session else { throw PeerFault("it comes too late") }
    } else {
      effects = try makeWay(for: opening, now: now)
    }
    guard case .forming(var forming) = state else {
      throw PeerFault("it opens a channel that it has already")
    }
    if opening.channel == .urgent { hello = opening.hello }
    guard let half = forming.half else {
      forming.half = (opening.hello.life, opening.channel)
      state = .forming(forming)
      return effects
    }
    guard half.channel != opening.channel, !forming.isWhole else {
      throw PeerFault("it opens a channel that it has already")
    }
    guard half.life == opening.hello.life else {
      throw PeerFault("its two connections come from two lives of node \(opening.hello.node)")
    }
    forming.isWhole = true
    state = .forming(forming)
    return connects ? stand(now: now) : effects
  }

  /// Something came on the urgent connection behind its opening. Throws if it is too early.
  package mutating func confirmed(now: Int64) throws(PeerFault) -> [Effect] {
    guard case .forming = state else { return [] }
    let effects = stand(now: now)
    guard !effects.isEmpty else { throw PeerFault("it does not wait until it is answered") }
    return effects
  }

  private mutating func stand(now: Int64) -> [Effect] {
    guard case .forming(let forming) = state, forming.isWhole, let half = forming.half, let hello
    else { return [] }
    state = .standing(Standing(session: forming.session, life: half.life, since: now))
    return [.stands(hello)]
  }

  /// Ends the session that there is, if the opening is of a newer one.
  private mutating func makeWay(
    for opening: PeerOpening, now: Int64
  ) throws(PeerFault) -> [Effect] {
    let life: PeerLife?
    switch state {
    case .waiting: life = nil
    case .forming(let forming): life = forming.half?.life
    case .standing(let standing): life = standing.life
    }
    let new = opening.hello
    if let life, let session {
      if session == opening.session, life == new.life { return [] }
      guard life.incarnation != new.incarnation || life.boot <= new.boot else {
        throw PeerFault("node \(new.node) has been started again since")
      }
      guard life != new.life || session < opening.session else {
        throw PeerFault("node \(new.node) has connected again since")
      }
    }
    let effects = end(why: "it connected again", now: now)
    state = .forming(Forming(session: opening.session, deadline: now + formingMilliseconds))
    return effects
  }

  /// A connection of the session has ended, or the peer is taken for lost.
  package mutating func broke(session: UInt64, why: String, now: Int64) -> [Effect] {
    session == self.session ? end(why: why, now: now) : []
  }

  private mutating func end(why: String, now: Int64) -> [Effect] {
    guard let session else { return [] }
    var effects: [Effect] = []
    if case .standing(let standing) = state {
      if now - standing.since >= ReconnectBackoff.steadyMilliseconds { backoff = .init() }
      effects.append(.ended(why: why))
    }
    // From one beginning to the next: what was waited for an answer has been waited.
    state = .waiting(until: max(now, begun + backoff.next()))
    effects.append(.close(session: session))
    return effects
  }
}

/// How long to wait from one try to the next: not at all, then 5 ms, doubled up to 200.
package struct ReconnectBackoff {
  package static let firstMilliseconds: Int64 = 5
  /// A node that comes back waits for this, too: the one with the lower number connects.
  package static let lastMilliseconds: Int64 = 50
  /// What stood that long was a connection: the next one is tried at once.
  package static let steadyMilliseconds: Int64 = 100

  private var wait: Int64 = 0

  package init() {}

  package mutating func next() -> Int64 {
    defer { wait = max(Self.firstMilliseconds, min(Self.lastMilliseconds, 2 * wait)) }
    return wait
  }
}
