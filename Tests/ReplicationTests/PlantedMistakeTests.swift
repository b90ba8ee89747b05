import Bytes
import Foundation
import Replication
import Testing

/// A mistake, and where it is found.
struct Mistake: Sendable, CustomTestStringConvertible {
  enum Place: Sendable {
    /// In so many seeds of a scenario.
    case elections(Int), membershipChanges(Int), quietTrouble(Int), returning(Int), trouble(Int)
    case shortLeaderships(Int)
    /// In one conversation, in which somebody then does this where nobody should.
    case conversation(String, does: String)
  }

  var testDescription: String
  var planted: Planted
  var place: Place

  init(_ name: String, _ planted: PlantedMistakes, _ place: Place) {
    testDescription = name
    self.planted = Planted(replica: planted)
    self.place = place
  }

  init(_ name: String, driver: DriverMistakes, _ place: Place) {
    testDescription = name
    planted = Planted(driver: driver)
    self.place = place
  }

  static let all: [Mistake] = [
    Mistake("a vote is said before it is durable", .voteBeforeDurable, .elections(60)),
    Mistake("logs are compared by their lengths", .voteByOffset, .shortLeaderships(40)),
    Mistake("no pre-vote", .noPreVote, .returning(5)),
    Mistake("no check of the quorum", .noCheckQuorum, .quietTrouble(10)),
    Mistake("leadership for who is behind", .transferBehind, .returning(5)),
    Mistake("a leader is ready when elected", .readyWhenElected, .trouble(5)),
    Mistake("an old epoch is committed by counting", .commitOldEpoch, .shortLeaderships(30)),
    Mistake("a leader counts itself before its disk", .countSelfEarly, .trouble(5)),
    Mistake("acknowledged before the disk", .acknowledgeEarly, .trouble(5)),
    Mistake("committed beyond what is verified", .commitUnverified, .trouble(100)),
    Mistake(
      "reads without a majority", .readWithoutQuorum,
      .conversation("reads", does: "answer read 1: 0")),
    Mistake("an append replaces what matches", .truncateWhatMatches, .trouble(5)),
    Mistake("epoch starts survive truncation", .keepEpochStarts, .elections(300)),
    Mistake(
      "a late reset takes what was acknowledged", .resetAcknowledged,
      .conversation("stale-reset", does: "reset to 0:2")),
    Mistake("learners count", .countLearners, .membershipChanges(5)),
    Mistake(
      "old versions count", .countOldVersions,
      .conversation("old-version", does: "committed 0:3")),
    Mistake(
      "who joined anew answers for who it was", .forgetJoining,
      .conversation("renewed", does: "to 1: [0] alive, context 0")),
    Mistake(
      "who joined anew has what it had", .keepProgress,
      .conversation("renewed", does: "3 has 0:2")),
    Mistake(
      "a sole voter tells of its epoch early", .tellEpochEarly,
      .conversation("sole-voter-grows", does: "replicate to 2 after 0:1")),
    Mistake("quiet while somebody is behind", .quietTooEarly, .membershipChanges(150)),
    Mistake("quiet for a dead leader", .quietForTheDead, .quietTrouble(10)),
    Mistake("a fenced leader says nothing", .leaveSilently, .quietTrouble(20)),
    Mistake(
      "durable before the truncation is durable after", driver: .durableBeforeTruncation,
      .conversation("rewritten", does: "3 durable 0:1")),
    Mistake(
      "a membership before the last is settled", driver: .changeUnsettled, .membershipChanges(60)),
  ]

  /// What gave it away.
  func find() throws -> String? {
    switch place {
    case .elections(let seeds): find(seeds) { Scenario.elections(seed: $0, planted) }
    case .membershipChanges(let seeds):
      find(seeds) { Scenario.membershipChanges(seed: $0, planted) }
    case .quietTrouble(let seeds): find(seeds) { Scenario.quietTrouble(seed: $0, planted) }
    case .returning(let seeds): find(seeds) { Scenario.returning(seed: $0, planted) }
    case .trouble(let seeds): find(seeds) { Scenario.trouble(seed: $0, planted) }
    case .shortLeaderships(let seeds): find(seeds) { Scenario.shortLeaderships(seed: $0, planted) }
    case .conversation(let name, let line): try find(in: name, line)
    }
  }

  private func find(_ seeds: Int, _ run: (Int) -> ModelCluster) -> String? {
    for seed in 0..<seeds {
      if let problem = run(seed).problems.first { return "seed \(seed): \(problem)" }
    }
    return nil
  }

  /// Any other change of the conversation would not do: it may be no harm.
  private func find(in name: String, _ line: String) throws -> String? {
    let file = Conversation.files.first { $0.lastPathComponent == name + ".txt" }
    let conversation = try Conversation(#require(file), planted)
    if let problem = conversation.problems.first { return problem }
    let blocks = zip(Self.blocks(conversation.found), Self.blocks(conversation.expected))
    return blocks.first { found, expected in
      found.contains(line) && !expected.contains(line)
    }.map { found, _ in "\(line), after \(found[0])" }
  }

  /// The lines that follow each command, the command first.
  private static func blocks(_ text: String) -> [[String]] {
    text.split(separator: "\n").reduce(into: []) { blocks, line in
      let line = line.trimmingCharacters(in: .whitespaces)
      if line.hasPrefix("> ") {
        blocks.append([line])
      } else if !blocks.isEmpty {
        blocks[blocks.count - 1].append(line)
      }
    }
  }
}

@Suite struct `Mistakes made on purpose` {
  @Test(arguments: Mistake.all)
  func `are found`(mistake: Mistake) throws {
    let found = try mistake.find()
    #expect(found != nil)
    if let found, ProcessInfo.processInfo.environment["MARTLET_MISTAKES"] != nil {
      print("FOUND \(mistake.testDescription): \(found.prefix(150))")
    }
  }
}
