import Bytes
import Foundation
import Replication
import Testing

/// A mistake, and where it is found.
struct Mistake: Sendable, CustomTestStringConvertible {
  enum Place: String, CaseIterable, Sendable {
    case trouble, shortLeaderships, membershipChanges, quietTrouble, returning

    func run(_ seed: Int, _ planted: Planted) -> ModelCluster {
      switch self {
      case .trouble: Scenario.trouble(seed: seed, planted)
      case .shortLeaderships: Scenario.shortLeaderships(seed: seed, planted)
      case .membershipChanges: Scenario.membershipChanges(seed: seed, planted)
      case .quietTrouble: Scenario.quietTrouble(seed: seed, planted)
      case .returning: Scenario.returning(seed: seed, planted)
      }
    }
  }

  var name: String
  var replica: PlantedMistakes = []
  var driver: DriverMistakes = []
  var place: Place
  /// It is found in as many.
  var seeds: Int

  var testDescription: String { name }

  static let all: [Mistake] = [
    Mistake(
      name: "voteBeforeDurable", replica: .voteBeforeDurable, place: .shortLeaderships, seeds: 300),
    Mistake(name: "voteByOffset", replica: .voteByOffset, place: .shortLeaderships, seeds: 300),
    Mistake(name: "noPreVote", replica: .noPreVote, place: .returning, seeds: 300),
    Mistake(name: "noCheckQuorum", replica: .noCheckQuorum, place: .quietTrouble, seeds: 300),
    Mistake(name: "transferBehind", replica: .transferBehind, place: .returning, seeds: 300),
    Mistake(name: "readyWhenElected", replica: .readyWhenElected, place: .trouble, seeds: 300),
    Mistake(name: "commitOldEpoch", replica: .commitOldEpoch, place: .shortLeaderships, seeds: 300),
    Mistake(name: "countSelfEarly", replica: .countSelfEarly, place: .trouble, seeds: 300),
    Mistake(name: "acknowledgeEarly", replica: .acknowledgeEarly, place: .trouble, seeds: 300),
    Mistake(name: "commitUnverified", replica: .commitUnverified, place: .trouble, seeds: 300),
    Mistake(name: "readWithoutQuorum", replica: .readWithoutQuorum, place: .trouble, seeds: 300),
    Mistake(
      name: "truncateWhatMatches", replica: .truncateWhatMatches, place: .trouble, seeds: 300),
    Mistake(
      name: "keepEpochStarts", replica: .keepEpochStarts, place: .shortLeaderships, seeds: 300),
    Mistake(name: "resetAcknowledged", replica: .resetAcknowledged, place: .trouble, seeds: 300),
    Mistake(name: "countLearners", replica: .countLearners, place: .membershipChanges, seeds: 300),
    Mistake(
      name: "countOldVersions", replica: .countOldVersions, place: .membershipChanges, seeds: 300),
    Mistake(name: "forgetJoining", replica: .forgetJoining, place: .membershipChanges, seeds: 300),
    Mistake(name: "keepProgress", replica: .keepProgress, place: .membershipChanges, seeds: 300),
    Mistake(
      name: "tellEpochEarly", replica: .tellEpochEarly, place: .membershipChanges, seeds: 300),
    Mistake(name: "quietTooEarly", replica: .quietTooEarly, place: .trouble, seeds: 300),
    Mistake(name: "quietForTheDead", replica: .quietForTheDead, place: .quietTrouble, seeds: 300),
    Mistake(name: "leaveSilently", replica: .leaveSilently, place: .quietTrouble, seeds: 300),
    Mistake(
      name: "durableBeforeTruncation", driver: .durableBeforeTruncation, place: .trouble, seeds: 300
    ),
    Mistake(
      name: "changeUnsettled", driver: .changeUnsettled, place: .membershipChanges, seeds: 300),
  ]
}

@Suite struct `Mistakes made on purpose` {
  @Test(arguments: Mistake.all)
  func `are found`(mistake: Mistake) {
    let planted = Planted(replica: mistake.replica, driver: mistake.driver)
    let limit = ProcessInfo.processInfo.environment["MARTLET_SEEDS"].flatMap { Int($0) }
    let places = limit == nil ? [mistake.place] : Mistake.Place.allCases
    for place in places {
      let found = (0..<(limit ?? mistake.seeds)).first { seed in
        let cluster = place.run(seed, planted)
        guard let problem = cluster.problems.first else { return false }
        if limit != nil { print("FOUND \(mistake.name) \(place) \(seed) \(problem.prefix(150))") }
        return true
      }
      #expect(limit != nil || found != nil, "not found")
    }
  }
}
