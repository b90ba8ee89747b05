/// A string that is equal to another only where their bytes are.
///
/// Swift compares strings by canonical equivalence: an "é" of one scalar equals an "é" of two.
/// Kafka compares code units, and to its clients those are two groups, two members, two topics.
/// Hashed by bytes too: equivalent spellings of one text would otherwise all land in one bucket,
/// and there are exponentially many of them.
package struct ExactString: Sendable {
  package let text: String

  package init(_ text: String) {
    self.text = text
  }

  package var isEmpty: Bool { text.utf8.isEmpty }
}

extension ExactString: Hashable {
  package static func == (a: ExactString, b: ExactString) -> Bool {
    a.text.utf8.count == b.text.utf8.count && a.text.utf8.elementsEqual(b.text.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { bytes in
      unsafe hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
    }
    hasher.combine(UInt8(0xff))
  }
}

extension ExactString: Comparable {
  /// By bytes, which is also by scalars.
  package static func < (a: ExactString, b: ExactString) -> Bool {
    a.text.utf8.lexicographicallyPrecedes(b.text.utf8)
  }
}

extension ExactString: CustomStringConvertible {
  package var description: String { text }
}

extension ExactString {
  /// `String.hashCode` of Java: h = 31 * h + unit over the UTF-16 units, wrapping at 32 bits.
  package var javaHash: Int32 {
    text.utf16.reduce(0) { 31 &* $0 &+ Int32($1) }
  }

  /// Which of the topic's partitions holds what belongs to this group id or transactional id.
  package func coordinatorPartition(of count: Int32) -> Int32 {
    precondition(count > 0, "a topic of \(count) partitions")
    // Java's abs(Int.min) is negative; Kafka's own takes it for zero.
    return (javaHash == .min ? 0 : abs(javaHash)) % count
  }
}
