import Glibc
import Simulation
import Testing

/// The words of `martlet-sim`.
@Suite struct `martlet-sim` {
  private func run(_ words: String...) -> (code: Int32, text: String) {
    var lines: [String] = []
    let code = SimulationCommand.run(words) { lines.append($0) }
    return (code, lines.joined(separator: "\n"))
  }

  @Test(arguments: [
    ["--seed", "x"], ["--seeds", "1O"], ["--seeds"], ["--seed", "-1"], ["--seed", "+1"],
    ["--length", "99999999999999999999"], ["--length", "9223372036854775808"], ["--seed", ""],
    ["--sed", "1"], ["1"], ["--seed", "1", "--seed", "2"], ["--seed", "1", "--seeds", "2"],
    ["--trace"], ["--only", "x"], ["--planted", "--storm"], ["--seed", "1", "--planted"],
  ])
  func `what it does not understand is refused`(words: [String]) {
    var lines: [String] = []
    #expect(SimulationCommand.run(words) { lines.append($0) } == 2)
    #expect(lines.first?.hasPrefix("martlet-sim: ") == true)
  }

  @Test func `what is wrong with a word is said`() {
    #expect(run("--seeds", "1O").text.hasPrefix("martlet-sim: --seeds wants a number, not '1O'\n"))
    #expect(run("--trace").text.hasPrefix("martlet-sim: --trace needs --seed\n"))
  }

  @Test func `its help is no error, names all words and fits a terminal`() {
    let (code, text) = run("--help")
    #expect(code == 0)
    let words = [
      "--seeds", "--seconds", "--from", "--seed", "--length", "--storm", "--twice", "--verbose",
      "--trace", "--planted", "--only",
    ]
    for word in words { #expect(text.contains("\n  \(word) "), "\(word)") }
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }

  @Test func `a run says what it was and how to have it again`() {
    let (code, text) = run("--seed", "5", "--length", "1", "--trace")
    #expect(code == 0)
    #expect(text.contains("seed 5: "))
    #expect(text.contains("hash "))
  }
}

/// What hashing decides is the same all through a process: only another one shows it.
@Suite struct `Another process` {
  /// What it prints for a seed.
  private func output(_ seed: UInt64) throws -> String {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = max(0, readlink("/proc/self/exe", &path, path.count - 1))
    let tests = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let folder = tests.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    let command = "unset SWIFT_DETERMINISTIC_HASHING; '\(folder)/martlet-sim' --seed \(seed)"
    let pipe = try #require(popen(command + " --length 5 2>&1", "r"))
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&buffer, 1, buffer.count, pipe), count > 0 {
      bytes += buffer[..<count]
    }
    #expect(pclose(pipe) == 0)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// With five nodes, with groups, with topics that come and go.
  @Test(arguments: [2, 3, 7] as [UInt64])
  func `does the same for the same seed`(seed: UInt64) throws {
    let first = try output(seed)
    #expect(first.hasPrefix("hash "), "\(first)")
    for _ in 0..<2 { #expect(try output(seed) == first) }
  }
}
