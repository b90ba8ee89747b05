/// What a history is held against: the checks C1 to C20 of the design. A raw value is the number
/// that reports and people use.
package enum Check: Int, CaseIterable, Comparable, Sendable {
  case oneValuePerOffset = 1
  case oneOffsetPerValue
  case nothingRefusedIsSeen
  case acknowledgedIsThere
  case seenStays
  case realTimeOrder
  case producerOrder
  case fetchesAreContiguous
  case watermarksGoForward
  case oneLeaderPerEpoch
  case transactionsAreWhole
  case processingIsExactlyOnce
  case groupOffsetsGoForward
  case producerIDsAreUnique
  case zombiesAreFenced
  case replicasAreEqual
  case acknowledgedIsDurable
  case isAvailable
  case tablesAreConserved
  case resourcesAreBounded

  /// The claim that a violation refutes.
  package var claim: String {
    switch self {
    case .oneValuePerOffset: "an offset has one value, whoever looks, and whenever"
    case .oneOffsetPerValue: "a value of an idempotent producer is at one offset"
    case .nothingRefusedIsSeen: "what was refused, or what nobody wrote, is never seen"
    case .acknowledgedIsThere: "what was acknowledged is there in the end, where it was said to be"
    case .seenStays: "what was seen once stays, acknowledged or not"
    case .realTimeOrder: "what was begun after something was there comes after it"
    case .producerOrder: "a producer's records are in its order, without gaps"
    case .fetchesAreContiguous: "a reader goes forward, skips nothing, and sees what is committed"
    case .watermarksGoForward: "watermarks and log starts go forward; the end is never stale"
    case .oneLeaderPerEpoch: "an epoch has one leader; epochs follow the offsets"
    case .transactionsAreWhole: "transactions are seen as a whole or not at all"
    case .processingIsExactlyOnce: "what is read, processed and written is written once"
    case .groupOffsetsGoForward: "a group's offsets are what was committed last"
    case .producerIDsAreUnique: "a producer id is given to one producer"
    case .zombiesAreFenced: "an older epoch of a producer is acknowledged no more"
    case .replicasAreEqual: "replicas are equal in the end"
    case .acknowledgedIsDurable: "what was acknowledged is durable on a majority"
    case .isAvailable: "while a majority is well, records are acknowledged"
    case .tablesAreConserved: "a table rebuilt from the log is the table"
    case .resourcesAreBounded: "resources are bounded, and every error has a name"
    }
  }

  package static func < (a: Check, b: Check) -> Bool { a.rawValue < b.rawValue }
}
