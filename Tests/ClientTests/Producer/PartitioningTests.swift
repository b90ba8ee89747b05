import Bytes
import Client
import Testing

@Suite struct `Partitioning` {
  /// Made by Kafka's own Utils.murmur2 and BuiltInPartitioner.partitionForKey (4.3.0): key, hash as
  /// it is signed there, partition of 3, of 10 and of 1000.
  private static let vectors: [([UInt8], Int32, Int32, Int32, Int32)] = [
    ([], 275_646_681, 0, 1, 681),
    (Array("a".utf8), -1_563_381_124, 1, 4, 524),
    (Array("ab".utf8), 316_155_434, 2, 4, 434),
    (Array("abc".utf8), 479_470_107, 0, 7, 107),
    (Array("abcd".utf8), -1_323_649_548, 2, 0, 100),
    (Array("foobar".utf8), -790_332_482, 0, 6, 166),
    (Array("21".utf8), -973_932_308, 0, 0, 340),
    (Array("kafka".utf8), -798_503_068, 1, 0, 580),
    (Array("a-little-bit-long-string".utf8), -985_981_536, 2, 2, 112),
    (Array("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8".utf8), -58_897_971, 2, 7, 677),
    ([0x68, 0xc3, 0xa9, 0x6c, 0x6c, 0x6f, 0x2d, 0xe6, 0xbc, 0xa2], 1_801_498_627, 1, 7, 627),
    ([0, 0, 0, 1], -173_113_808, 0, 0, 840),
    ([0xff, 0xfe, 0x80], -160_726_397, 0, 1, 251),
  ]

  @Test func `keys are hashed and placed as Java's producer does`() {
    for (key, hash, of3, of10, of1000) in Self.vectors {
      #expect(Int32(bitPattern: Murmur2.hash(key)) == hash, "\(key)")
      #expect(Murmur2.partition(of: key, count: 3) == of3)
      #expect(Murmur2.partition(of: key, count: 10) == of10)
      #expect(Murmur2.partition(of: key, count: 1000) == of1000)
    }
  }

  @Test func `records without a key stay together for a batch, then go elsewhere`() {
    var sticky = StickyPartitioner()
    var generator = SeededGenerator(seed: 1)
    var runs: [(partition: Int32, count: Int)] = []
    for _ in 0..<1000 {
      let chosen = sticky.partition(
        size: 100, stickyBytes: 1000, available: [0, 2, 3], &generator)
      if runs.last?.partition == chosen {
        runs[runs.count - 1].count += 1
      } else {
        runs.append((chosen, 1))
      }
    }
    #expect(runs.allSatisfy { $0.count == 10 })
    #expect(Set(runs.map(\.partition)) == [0, 2, 3])
  }
}
