/// Time during which a thread could have seen something: the clock, without the times when the
/// thread did not run. Milliseconds.
///
/// A process that was stopped for a second finds its clock a second on and its sockets full. That
/// second says nothing about its peers; where all of them run on a machine that was stopped, they
/// were stopped too. So between two looks at the sockets at most `stepMax` counts.
package struct WatchedClock: Sendable {
  private let stepMax: Int64
  private var last: Int64?
  package private(set) var now: Int64 = 0

  package init(stepMax: Int64) { self.stepMax = stepMax }

  /// Has looked, at `moment` of the steady clock.
  package mutating func look(at moment: Int64) -> Int64 {
    now += min(max(0, moment - (last ?? moment)), stepMax)
    last = moment
    return now
  }
}

/// How long a counter has stood still while there was work.
package struct StandStill: Sendable {
  private var counter: UInt64?
  private var since: Int64?

  package init() {}

  /// Milliseconds. Times that go back begin it anew.
  package mutating func observe(_ counter: UInt64, hasWork: Bool, at time: Int64) -> Int64 {
    guard hasWork, counter == self.counter, let since, since <= time else {
      self.counter = counter
      since = hasWork ? time : nil
      return 0
    }
    return time - since
  }
}

/// How a peer is, by what has come from it on the urgent channel.
///
/// Times are watched ones (`WatchedClock`): silence counts by this node's, standing still by the
/// peer's own, so that neither heartbeats that come late nor a stop of either is taken for it.
package struct PeerLiveness: Sendable {
  package enum Verdict: Equatable {
    case fine
    /// It lives and does nothing.
    case stalled(why: String)
    case silent(why: String)
  }

  private let silenceMax: Int64
  private let latenessMax: Int64
  private var isRealtime = true
  private let stallMax: Int64
  private var heard: Int64
  private var loop = StandStill()
  private var journal = StandStill()
  private var stall: String?

  /// A peer that says its heartbeats may be late is allowed `latenessMilliseconds` of silence.
  package init(
    silenceMilliseconds: Int64, latenessMilliseconds: Int64, stallMilliseconds: Int64, now: Int64
  ) {
    silenceMax = silenceMilliseconds
    latenessMax = latenessMilliseconds
    stallMax = stallMilliseconds
    heard = now
  }

  /// Anything came.
  package mutating func heard(at now: Int64) { heard = now }

  package mutating func heartbeat(_ heartbeat: PeerHeartbeat) {
    let progress = heartbeat.progress
    isRealtime = heartbeat.isRealtime
    let loop = loop.observe(
      progress.loop, hasWork: progress.loopHasWork, at: heartbeat.watched)
    let journal = journal.observe(
      progress.journal, hasWork: progress.journalHasWork, at: heartbeat.watched)
    if loop >= stallMax {
      stall = "its loop stands still for \(loop) ms"
    } else if journal >= stallMax {
      stall = "its journal stands still for \(journal) ms"
    } else {
      stall = nil
    }
  }

  package func judge(now: Int64) -> Verdict {
    let bound = isRealtime ? silenceMax : max(silenceMax, latenessMax)
    if now - heard >= bound { return .silent(why: "it is silent for \(now - heard) ms") }
    return stall.map { .stalled(why: $0) } ?? .fine
  }
}

/// Whether this node's own journal stands still.
///
/// The counters are those of the loop's last turn. A loop that stands still would make the journal
/// look so too: time counts only where the loop has moved in between.
package struct OwnJournal: Sendable {
  private let stallMax: Int64
  private var turns: UInt64?
  private var clock: WatchedClock
  private var journal = StandStill()
  package private(set) var isStalled = false

  package init(stallMilliseconds: Int64, stepMax: Int64) {
    stallMax = stallMilliseconds
    clock = WatchedClock(stepMax: stepMax)
  }

  /// `turns` changes when the loop turns. True if `isStalled` has changed.
  package mutating func observe(_ progress: PeerProgress, turns: UInt64, now: Int64) -> Bool {
    guard turns != self.turns else { return false }
    self.turns = turns
    let stood = journal.observe(
      progress.journal, hasWork: progress.journalHasWork, at: clock.look(at: now))
    let was = isStalled
    isStalled = stood >= stallMax
    return isStalled != was
  }
}
