import Capture
import Testing

@Suite struct `A start` {
  private func situation(
    _ change: (inout StartSituation) -> Void = { _ in }
  ) -> StartSituation {
    var situation = StartSituation(
      connector: "shop", record: nil, slot: nil, slotName: "debezium", database: "db",
      system: SystemIdentity(identifier: "77", timeline: 1), serverEnd: LSN(10_000),
      writtenThrough: 0, mode: .initial)
    change(&situation)
    return situation
  }

  private func record(_ phase: PositionRecord.Phase, through: UInt64 = 5000) -> PositionRecord {
    PositionRecord(
      phase: phase, through: LSN(through), slot: "debezium", publication: "p", database: "db",
      system: SystemIdentity(identifier: "77", timeline: 1))
  }

  private func slot(
    _ confirmed: UInt64 = 5000, activePID: Int32? = nil, walStatus: String = "reserved",
    plugin: String = "pgoutput", database: String = "db"
  ) -> SlotState {
    SlotState(
      name: "debezium", plugin: plugin, database: database, activePID: activePID,
      confirmedFlush: LSN(confirmed), walStatus: walStatus)
  }

  private func refuses(_ situation: StartSituation, _ word: String) -> Bool {
    guard case .refuse(let sentence) = StartDecision(situation) else { return false }
    return sentence.contains(word)
  }

  private func waits(_ situation: StartSituation) -> Bool {
    if case .wait = StartDecision(situation) { true } else { false }
  }

  @Test func `with nothing there makes a slot`() {
    #expect(StartDecision(situation()) == .create(dropping: false))
    #expect(StartDecision(situation { $0.mode = .noData }) == .create(dropping: false))
  }

  @Test func `does not take a slot that somebody else made, unless no rows are wanted`() {
    #expect(refuses(situation { $0.slot = slot() }, "pg_drop_replication_slot"))
    #expect(
      StartDecision(
        situation {
          $0.slot = slot(4000)
          $0.mode = .noData
        }) == .adopt(LSN(4000)))
  }

  @Test func `drops a slot that was being made, once nobody reads it`() {
    #expect(StartDecision(situation { $0.record = record(.creating) }) == .create(dropping: false))
    #expect(
      StartDecision(
        situation {
          $0.record = record(.creating)
          $0.slot = slot()
        }) == .create(dropping: true))
    #expect(
      waits(
        situation {
          $0.record = record(.creating)
          $0.slot = slot(activePID: 7)
        }))
  }

  @Test func `goes on where it was`() {
    #expect(
      StartDecision(
        situation {
          $0.record = record(.snapshot)
          $0.slot = slot()
        }) == .resumeSnapshot)
    #expect(
      StartDecision(
        situation {
          $0.record = record(.streaming, through: 6000)
          $0.slot = slot(5000)
        }) == .stream(from: LSN(6000)))
    #expect(
      waits(
        situation {
          $0.record = record(.streaming)
          $0.slot = slot(activePID: 9)
        }))
  }

  @Test(arguments: [PositionRecord.Phase.snapshot, .streaming])
  func `stops loudly where changes are missing`(phase: PositionRecord.Phase) {
    #expect(refuses(situation { $0.record = record(phase) }, "is gone"))
    #expect(
      refuses(
        situation {
          $0.record = record(phase)
          $0.slot = slot(5001)
        }, "somebody else"))
    #expect(
      refuses(
        situation {
          $0.record = record(phase)
          $0.slot = slot(walStatus: "lost")
        }, "max_slot_wal_keep_size"))
    #expect(
      refuses(
        situation {
          $0.record = record(phase, through: 10_001)
          $0.slot = slot(5000)
        }, "restored"))
  }

  @Test func `stops loudly at another server, timeline, database or slot`() {
    func changed(_ change: (inout StartSituation) -> Void) -> StartSituation {
      situation {
        $0.record = record(.streaming)
        $0.slot = slot()
        change(&$0)
      }
    }
    #expect(refuses(changed { $0.system.identifier = "78" }, "78"))
    #expect(refuses(changed { $0.system.timeline = 2 }, "timeline 2"))
    #expect(
      refuses(
        changed {
          $0.database = "other"
          $0.slot = slot(database: "other")
        }, "other"))
    #expect(refuses(changed { $0.slotName = "new" }, "slot.name=debezium"))
    #expect(refuses(changed { $0.slot = slot(plugin: "wal2json") }, "wal2json"))
    #expect(refuses(changed { $0.slot = slot(database: "x") }, "'x'"))
    #expect(refuses(changed { $0.writtenThrough = 10_001 }, "delete the topics"))
  }

  @Test func `of a snapshot alone ends when it is there`() {
    #expect(
      StartDecision(
        situation {
          $0.record = record(.finished)
          $0.mode = .initialOnly
        }) == .finished)
    #expect(refuses(situation { $0.record = record(.finished) }, "initial_only"))
  }
}
