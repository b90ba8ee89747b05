import Bytes
import Foundation
import Replication
import Testing

@Suite struct `Replicas in random trouble` {
  /// Of the seed in MARTLET_SEED, what happens is printed; MARTLET_SEEDS is how many there are.
  static let seeds: Range<Int> = {
    let environment = ProcessInfo.processInfo.environment
    if let seed = environment["MARTLET_SEED"].flatMap({ Int($0) }) { return seed..<seed + 1 }
    return 0..<(environment["MARTLET_SEEDS"].flatMap { Int($0) } ?? 500)
  }()

  private func check(_ scenario: (Int) -> ModelCluster, _ seed: Int) {
    let cluster = scenario(seed)
    #expect(cluster.problems == [], "\(cluster.story.joined(separator: "\n"))")
  }

  @Test(arguments: seeds)
  func `agree on what was committed, lose none of it, and agree in the end`(seed: Int) {
    check({ Scenario.trouble(seed: $0) }, seed)
  }

  @Test(arguments: seeds)
  func `survive leaders that hardly live`(seed: Int) {
    check({ Scenario.shortLeaderships(seed: $0) }, seed)
  }

  @Test(arguments: seeds)
  func `keep what was committed from membership to membership`(seed: Int) {
    check({ Scenario.membershipChanges(seed: $0) }, seed)
  }

  @Test(arguments: seeds)
  func `vote once, and remember it`(seed: Int) {
    check({ Scenario.elections(seed: $0) }, seed)
  }

  @Test(arguments: seeds)
  func `keep a leader that nothing is wrong with`(seed: Int) {
    check({ Scenario.returning(seed: $0) }, seed)
  }

  @Test(arguments: seeds)
  func `miss a leader that all have been quiet for`(seed: Int) {
    check({ Scenario.quietTrouble(seed: $0) }, seed)
  }
}
