import Demo
import LocalCluster
import Testing

@Suite struct `What a demonstration shows` {
  private func figures() -> DemoFigures {
    var figures = DemoFigures()
    figures.elapsedSeconds = 12.7
    figures.seconds = 30
    figures.address = "127.0.0.1:9092"
    figures.roundsPerSecond = 200
    figures.changed = 1_234_567
    figures.captured = 1_230_000
    figures.processed = 400_000
    figures.eventsPerSecond = 12_345.6
    figures.p50Milliseconds = 3.14
    figures.p99Milliseconds = 19.96
    figures.window = .init(
      start: 1_763_726_700, end: 1_763_727_000, cents: 123_456_705, orders: 4321)
    figures.alerts = (0..<9).map { number in
      .init(
        product: "\(number)", name: String(repeating: "a long name ", count: 9), stock: -3,
        threshold: 20, level: "CRITICAL")
    }
    return figures
  }

  @Test func `every line fits into 80 columns`() {
    var wild = figures()
    wild.changed = .max
    wild.captured = .max
    wild.p99Milliseconds = 1e9
    wild.address = String(repeating: "host", count: 40)
    for figures in [DemoFigures(), figures(), wild] {
      for line in DemoScreen.lines(figures) { #expect(line.count <= 80, "\(line)") }
    }
  }

  @Test func `with nodes and what happened to them it is a screen of 24 lines`() {
    var figures = figures()
    figures.nodes = (1...3).map {
      .init(
        node: $0, address: "127.0.0.1:909\($0)", state: $0 == 2 ? .down : .up, leads: 25,
        follows: 50, lag: 0, process: 4711, restarts: 0)
    }
    figures.events = (0..<9).map {
      (
        "12:00:0\($0)",
        ClusterEvent.moved(from: 2, count: $0, to: [], milliseconds: 9, isAtMost: false).text
      )
    }
    let lines = DemoScreen.lines(figures)
    #expect(lines.count <= 23, "and the line of the cursor")
    for line in lines { #expect(line.count <= 80, "\(line)") }
    #expect(lines.contains { $0.hasPrefix("2     down") })
    #expect(lines.contains("12:00:08  8 partitions moved from node 2 to others in 9 ms"))
  }

  @Test func `numbers are what they are`() {
    let text = DemoScreen.lines(figures()).joined(separator: "\n")
    #expect(text.contains("1,234,567 rows changed"))
    #expect(text.contains("p50 3.1 ms, p99 20.0 ms"))
    #expect(text.contains("12:05 - 12:10 UTC   1,234,567.05 of 4,321 completed orders"))
    #expect(DemoScreen.money(-705) == "-7.05")
    #expect(DemoScreen.grouped(-1000) == "-1,000")
    #expect(DemoScreen.grouped(999) == "999")
  }

  @Test func `a line says the same where there is no terminal`() {
    #expect(
      DemoScreen.line(figures())
        == "12 s: 1,234,567 changed, 1,230,000 captured, 400,000 processed, "
        + "latency p50 3.1 ms, p99 20.0 ms, revenue of this window 1,234,567.05")
  }

  private func report() -> DemoReport {
    let windows = [
      DemoReport.Window(start: 1_763_726_700, cents: 10_05, orders: 2),
      DemoReport.Window(start: 1_763_727_000, cents: 99, orders: 1),
    ]
    return DemoReport(
      seconds: 30, topics: [.init(name: "orders", captured: 5, source: 3)], processed: 5, late: 0,
      stored: 4, p50Milliseconds: 3, p99Milliseconds: 9.5, atSource: windows, inResults: windows,
      alertsAtSource: 1, alertsInResults: 1, alertsAreEqual: true)
  }

  @Test func `a cent too few, a window too many or an alert is not equal`() {
    #expect(report().isEqual)
    #expect(report().text.hasSuffix("equal to the cent"))
    var cent = report()
    cent.inResults[0].cents -= 1
    #expect(!cent.isEqual)
    #expect(cent.text.contains("different"))
    #expect(cent.text.hasSuffix("NOT EQUAL"))
    var window = report()
    window.inResults.append(.init(start: 0, cents: 0, orders: 0))
    #expect(!window.isEqual)
    var alerts = report()
    alerts.alertsAreEqual = false
    #expect(!alerts.isEqual)
  }

  @Test func `a node that was killed is in the report, with what is known of it`() {
    var killed = report()
    #expect(killed.json.contains("\"nodes\": 1, \"killed\": null, \"moved\": null"))
    killed.nodes = 3
    killed.failover = .init(node: 2)
    #expect(killed.text.contains("node 2 of 3 was killed\n"))
    killed.failover = .init(node: 2, moved: 7, milliseconds: 31, caughtUpMilliseconds: 3456)
    #expect(
      killed.text.contains(
        """
        node 2 of 3 was killed
          others led its 7 partitions after 31 ms
          it was back and had caught up after 3.5 s

        """))
    #expect(
      killed.json.contains(
        "\"nodes\": 3, \"killed\": 2, \"moved\": 7, \"failover_ms\": 31, \"caught_up_ms\": 3456"))
    killed.kills = 4
    #expect(killed.text.contains("nodes were killed 4 times, the last of them 2\n"))
    #expect(killed.json.contains("\"kills\": 4"))
  }

  @Test func `the object for scripts has what is promised`() {
    let json = report().json
    for part in [
      "\"captured\": 5", "\"processed\": 5", "\"p50_ms\": 3.0", "\"p99_ms\": 9.5",
      "\"equal\": true", "\"revenue\": \"11.04\"",
    ] {
      #expect(json.contains(part), "\(json)")
    }
    #expect(!json.contains("\n"))
  }
}
