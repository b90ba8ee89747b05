import Glibc
import Testing

/// The store as an embedder runs it, on real file systems, killed and cut off in the middle of its
/// work: what it acknowledged is there afterwards, in order, once.
@Suite(
  .serialized,
  .enabled(
    if: Programs.missing == nil,
    Comment(rawValue: "NO POWER CUTS ARE TESTED HERE: \(Programs.missing ?? "")")))
struct `Power cuts` {
  /// Cycles on one file system, before there is a new one.
  private static let cyclesPerDisk = 10
  private static let diskBytes = 64 << 20

  private enum End: CaseIterable {
    case kill, cut
  }

  /// What a run of cycles came to.
  private struct Outcome {
    var cycles = 0
    var acknowledged = 0
    /// Sectors that the disk has dropped.
    var dropped = 0
    /// The first verdict that was not content.
    var loss: String?
  }

  /// Lets the victim append until some events are acknowledged, ends it, and has what it left
  /// verified; again and again, until something is lost.
  private func run(
    _ cycles: Int, environment: [String] = [], ends: [End], _ makeDisk: () throws -> any PoweredDisk
  ) throws -> Outcome {
    var random = SystemRandomNumberGenerator()
    var outcome = Outcome()
    while outcome.cycles < cycles, outcome.loss == nil {
      let disk = try makeDisk()
      var acknowledged: [String] = []
      for _ in 0..<min(Self.cyclesPerDisk, cycles - outcome.cycles) where outcome.loss == nil {
        outcome.cycles += 1
        let end = ends.randomElement(using: &random) ?? .cut
        let before = acknowledged.count
        outcome.dropped += try live(disk, end, environment, &acknowledged, &random)
        outcome.acknowledged += acknowledged.count - before
        outcome.loss = try verify(disk, acknowledged).map {
          "cycle \(outcome.cycles), \(end): \($0)"
        }
      }
    }
    return outcome
  }

  private func live(
    _ disk: any PoweredDisk, _ end: End, _ environment: [String], _ acknowledged: inout [String],
    _ random: inout SystemRandomNumberGenerator
  ) throws -> Int {
    let victim = try Child(
      [Programs.victim, "run", "\(disk.mount)/store"], environment: environment)
    // One in eight ends while it opens the store: a recovery that is cut off itself.
    let events = Int.random(in: 0..<8, using: &random) == 0 ? 0 : Int.random(in: 1...1500)
    for _ in 0..<events {
      guard let line = victim.line() else {
        throw Child.Failed(command: "power-victim", output: "it stopped before the power did")
      }
      acknowledged.append(line)
    }
    let dropped = end == .cut ? try disk.cut(&random) : 0
    victim.kill()
    acknowledged += victim.lines()
    _ = victim.wait()
    if end == .cut { try disk.restart() }
    return dropped
  }

  /// What is wrong with what is on the disk, if anything is.
  private func verify(_ disk: any PoweredDisk, _ acknowledged: [String]) throws -> String? {
    let path = "\(disk.mount)-acknowledged"
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    let bytes = Array(acknowledged.map { $0 + "\n" }.joined().utf8)
    guard write(file, bytes, bytes.count) == bytes.count, close(file) == 0 else {
      throw Child.Failed(command: "write", output: path)
    }
    let verifier = try Child([Programs.victim, "verify", "\(disk.mount)/store"], input: path)
    let verdict = verifier.lines().joined(separator: "\n")
    return verifier.wait() == 0 ? nil : verdict
  }

  private func expectNoLoss(_ outcome: Outcome, _ what: String) {
    #expect(outcome.loss == nil)
    #expect(outcome.cycles == Programs.cycles)
    #expect(outcome.acknowledged > outcome.cycles * 100)
    print("\(outcome.cycles) \(what), \(outcome.acknowledged) acknowledged events, none lost")
  }

  @Test
  func `what was acknowledged survives kill -9`() throws {
    let outcome = try run(Programs.cycles, ends: [.kill]) {
      try ShutDownDisk(bytes: Self.diskBytes)
    }
    expectNoLoss(outcome, "kills")
  }

  @Test
  func `what was acknowledged survives a file system that stops dead`() throws {
    let outcome = try run(Programs.cycles, ends: [.cut, .cut, .kill]) {
      try ShutDownDisk(bytes: Self.diskBytes)
    }
    expectNoLoss(outcome, "shutdowns and kills")
  }

  @Test
  func `what was acknowledged survives a disk that forgets what was not flushed`() throws {
    let outcome = try run(Programs.cycles, ends: [.cut, .cut, .kill]) {
      try ForgetfulDisk(bytes: Self.diskBytes)
    }
    expectNoLoss(outcome, "cuts of a forgetful disk and kills")
    #expect(outcome.dropped > 0)
  }

  @Test
  func `a store that does not flush is found out by a disk that forgets`() throws {
    let outcome = try run(20, environment: ["MARTLET_FORGETFUL_SYNC=1"], ends: [.cut]) {
      try ForgetfulDisk(bytes: Self.diskBytes)
    }
    let loss = try #require(outcome.loss, "the planted bug went unnoticed")
    print("without fdatasync of the journal, events are lost in cycle \(outcome.cycles): \(loss)")
  }
}
