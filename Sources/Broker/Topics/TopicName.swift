/// What a topic may be called, and which topics are the cluster's own.
///
/// Names are 1 to 249 of `[a-zA-Z0-9._-]`, because they become file and metric names. Metrics turn
/// '.' into '_', so two names that differ only there collide.
package enum TopicName {
  package static let bytesMax = 249

  /// Where groups keep their offsets.
  package static let consumerOffsets = "__consumer_offsets"
  /// Where transactions keep their state.
  package static let transactionState = "__transaction_state"
  /// Kafka's own metadata log. Nobody may have a topic of that name.
  package static let clusterMetadata = "__cluster_metadata"

  package static func isInternal(_ name: String) -> Bool {
    name.isExactly(consumerOffsets) || name.isExactly(transactionState)
  }

  package static func isValid(_ name: String) -> Bool { fault(name) == nil }

  /// Why `name` cannot name a topic, in Kafka's words; nil if it can.
  package static func fault(_ name: String) -> String? {
    let size = name.utf8.count
    if size == 0 { return "Topic name is invalid: the empty string is not allowed" }
    if name.isExactly(".") { return "Topic name is invalid: '.' is not allowed" }
    if name.isExactly("..") { return "Topic name is invalid: '..' is not allowed" }
    if size > bytesMax {
      return "Topic name is invalid: the length of '\(name)' is longer than the max allowed "
        + "length \(bytesMax)"
    }
    guard name.utf8.allSatisfy(isAllowed) else {
      return "Topic name is invalid: '\(name)' contains one or more characters other than ASCII "
        + "alphanumerics, '.', '_' and '-'"
    }
    return nil
  }

  /// The same for all names that collide with each other.
  static func collisionKey(_ name: String) -> String {
    String(
      decoding: name.utf8.map { $0 == UInt8(ascii: ".") ? UInt8(ascii: "_") : $0 }, as: UTF8.self)
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "-"):
      true
    default: false
    }
  }
}

extension String {
  /// The same bytes. `==` asks for canonical equivalence, under which the Kelvin sign is a K: a
  /// name that no topic may have would find one.
  func isExactly(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }

  var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }
}
