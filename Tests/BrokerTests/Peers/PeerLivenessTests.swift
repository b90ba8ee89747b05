import Broker
import Testing

@Suite struct `Whether a peer is there` {
  private func liveness() -> PeerLiveness {
    PeerLiveness(
      silenceMilliseconds: 200, latenessMilliseconds: 500, stallMilliseconds: 100, now: 0)
  }

  private func heartbeat(
    _ watched: Int64, loop: UInt64 = 0, journal: UInt64 = 0, works: Bool = true
  ) -> PeerHeartbeat {
    PeerHeartbeat(
      time: 0, watched: watched,
      progress: PeerProgress(
        loop: loop, journal: journal, loopHasWork: works, journalHasWork: works))
  }

  @Test func `silence is noticed at the bound, and ends with the first word`() {
    var liveness = liveness()
    #expect(liveness.judge(now: 199) == .fine)
    #expect(liveness.judge(now: 200) == .silent(why: "it is silent for 200 ms"))
    liveness.heard(at: 200)
    #expect(liveness.judge(now: 399) == .fine)
    #expect(liveness.judge(now: 450) == .silent(why: "it is silent for 250 ms"))
  }

  @Test func `one that may be late is given time, from when it has said so`() {
    var liveness = liveness()
    var late = heartbeat(0)
    late.isRealtime = false
    liveness.heartbeat(late)
    #expect(liveness.judge(now: 499) == .fine)
    #expect(liveness.judge(now: 500) == .silent(why: "it is silent for 500 ms"))
    liveness.heartbeat(heartbeat(0, works: false))
    #expect(liveness.judge(now: 200) != .fine)
  }

  @Test func `a counter that stands still with work waiting is a stall, until it moves`() {
    var liveness = liveness()
    for watched in stride(from: Int64(1000), to: 1100, by: 20) {
      liveness.heartbeat(heartbeat(watched, loop: 5, journal: UInt64(watched)))
      #expect(liveness.judge(now: 0) == .fine)
    }
    liveness.heartbeat(heartbeat(1100, loop: 5, journal: 1100))
    #expect(liveness.judge(now: 0) == .stalled(why: "its loop stands still for 100 ms"))
    liveness.heartbeat(heartbeat(1120, loop: 6, journal: 1120))
    #expect(liveness.judge(now: 0) == .fine)
    for watched in [1140, 1160, 1180, 1200, 1240] as [Int64] {
      liveness.heartbeat(heartbeat(watched, loop: UInt64(watched), journal: 7))
    }
    #expect(liveness.judge(now: 0) == .stalled(why: "its journal stands still for 100 ms"))
  }

  @Test func `who has no work may stand still`() {
    var liveness = liveness()
    for watched in stride(from: Int64(0), to: 5000, by: 20) {
      // Work comes, and is done within 80 ms, over and over.
      liveness.heartbeat(heartbeat(watched, works: watched % 100 != 0))
      #expect(liveness.judge(now: 0) == .fine)
    }
  }

  @Test func `heartbeats that come all at once are judged by when they were sent`() {
    var liveness = liveness()
    // A second's worth: it moved every 60 ms.
    for watched in stride(from: Int64(0), to: 1000, by: 20) {
      liveness.heartbeat(heartbeat(watched, loop: UInt64(watched / 60), journal: 0, works: true))
      liveness.heartbeat(heartbeat(watched, loop: UInt64(watched / 60), journal: UInt64(watched)))
    }
    liveness.heard(at: 1000)
    #expect(liveness.judge(now: 1000) == .fine)
  }

  @Test func `times that go back or are absurd are only times`() {
    var liveness = liveness()
    for watched in [.max, 0, .max, 1, 50, .max, 3] as [Int64] {
      liveness.heartbeat(heartbeat(watched))
    }
    #expect(liveness.judge(now: 0) == .fine)
  }
}

@Suite struct `Time in which one could have seen something` {
  @Test func `it goes with the clock while one looks`() {
    var clock = WatchedClock(stepMax: 40)
    #expect(clock.look(at: 1_000_000) == 0)
    #expect(clock.look(at: 1_000_020) == 20)
    #expect(clock.look(at: 1_000_060) == 60)
    #expect(clock.look(at: 1_000_060) == 60)
  }

  @Test func `a stop counts for no more than one look`() {
    var clock = WatchedClock(stepMax: 40)
    _ = clock.look(at: 0)
    #expect(clock.look(at: 3_600_000) == 40)
    #expect(clock.look(at: 3_600_005) == 45)
    // A clock that goes back is not a steady clock; it must not go back with it.
    #expect(clock.look(at: 5) == 45)
    #expect(clock.look(at: 6) == 46)
  }

  @Test func `a process that was stopped takes nobody for lost, before or after what has come`() {
    var clock = WatchedClock(stepMax: 40)
    var liveness = PeerLiveness(
      silenceMilliseconds: 200, latenessMilliseconds: 500, stallMilliseconds: 100,
      now: clock.look(at: 0))
    for moment in stride(from: Int64(0), through: 1000, by: 20) {
      liveness.heard(at: clock.look(at: moment))
    }
    // Stopped for a minute between looking at the sockets and at the clock.
    #expect(liveness.judge(now: clock.look(at: 61_000)) == .fine)
    // On a machine that was stopped as a whole the peers need their time too.
    #expect(liveness.judge(now: clock.look(at: 61_100)) == .fine)
    #expect(liveness.judge(now: clock.look(at: 61_140)) == .fine)
    // But a peer that is gone is gone.
    for moment in stride(from: Int64(61_160), through: 61_260, by: 20) {
      _ = clock.look(at: moment)
    }
    #expect(liveness.judge(now: clock.now) != .fine)
  }
}

@Suite struct `A node's own journal` {
  private func progress(_ journal: UInt64, _ works: Bool = true) -> PeerProgress {
    PeerProgress(loop: 0, journal: journal, loopHasWork: false, journalHasWork: works)
  }

  @Test func `stands still when it does not move for the bound with work waiting`() {
    var journal = OwnJournal(stallMilliseconds: 100, stepMax: 40)
    var changes: [Int64: Bool] = [:]
    for now in stride(from: Int64(0), through: 300, by: 20) {
      let counter: UInt64 = now < 200 ? 1 : 2
      if journal.observe(progress(counter), turns: UInt64(now), now: now) {
        changes[now] = journal.isStalled
      }
    }
    #expect(changes == [100: true, 200: false, 300: true])
    #expect(journal.observe(progress(2, false), turns: 999, now: 320) == true)
    #expect(!journal.isStalled)
  }

  @Test func `is not blamed for a loop that stands still`() {
    var journal = OwnJournal(stallMilliseconds: 100, stepMax: 40)
    #expect(journal.observe(progress(1), turns: 1, now: 0) == false)
    // The loop does not turn for a second: whether the journal moves is not known.
    for now in stride(from: Int64(20), to: 1000, by: 20) {
      #expect(journal.observe(progress(1), turns: 1, now: now) == false)
    }
    #expect(journal.observe(progress(1), turns: 2, now: 1000) == false)
    #expect(journal.observe(progress(2), turns: 3, now: 1020) == false)
    #expect(!journal.isStalled)
  }
}
