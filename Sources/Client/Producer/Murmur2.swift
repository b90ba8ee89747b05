package import Bytes

/// The hash by which Java's producer, and every client that wants to agree with it, places keys:
/// MurmurHash2 in 32 bits, seed 0x9747b28c (Kafka's Utils.murmur2).
package enum Murmur2 {
  private static let seed: UInt32 = 0x9747_b28c
  private static let multiplier: UInt32 = 0x5bd1_e995

  package static func hash(_ bytes: [UInt8]) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe hash($0) }
  }

  package static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var hash = seed ^ UInt32(truncatingIfNeeded: bytes.count)
    var position = 0
    while bytes.count - position >= 4 {
      var word = unsafe UInt32(
        littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self))
      word &*= multiplier
      word ^= word >> 24
      word &*= multiplier
      hash &*= multiplier
      hash ^= word
      position += 4
    }
    let rest = bytes.count - position
    if rest > 0 {
      for index in 0..<rest {
        unsafe hash ^= UInt32(bytes[position + index]) << UInt32(8 * index)
      }
      hash &*= multiplier
    }
    hash ^= hash >> 13
    hash &*= multiplier
    hash ^= hash >> 15
    return hash
  }

  /// The partition of a key among `count`, all of them, with a leader or without.
  package static func partition(of key: [UInt8], count: Int32) -> Int32 {
    Int32(truncatingIfNeeded: (hash(key) & 0x7fff_ffff) % UInt32(max(1, count)))
  }
}

/// Where records without a key go: to one partition until a batch's worth of bytes went there, then
/// to another, so that batches fill and partitions share the load (KIP-480, KIP-794).
package struct StickyPartitioner {
  private var partition: Int32?
  private var bytes = 0

  package init() {}

  /// `available` are the partitions with a leader.
  package mutating func partition(
    size: Int, stickyBytes: Int, available: [Int32], _ generator: inout SeededGenerator
  ) -> Int32 {
    if let partition, bytes < stickyBytes, available.contains(partition) {
      bytes += size
      return partition
    }
    let others = available.filter { $0 != partition }
    let chosen = others.randomElement(using: &generator) ?? available.first ?? 0
    partition = chosen
    bytes = size
    return chosen
  }
}
