/// Which checks had anything to look at: of one that had nothing, nobody can say that it holds.
struct Looks {
  private var bits: UInt32 = 0

  mutating func add(_ check: Check) { bits |= 1 << UInt32(check.rawValue) }

  func contains(_ check: Check) -> Bool { bits & 1 << UInt32(check.rawValue) != 0 }
}

extension Judge {
  func looked(at check: Check) { looks.add(check) }

  func finishLooks() {
    if options.longestGapMax != nil, report.recordsBegun > 0 { looked(at: .isAvailable) }
    if tables.values.contains(where: \.isCompared) { looked(at: .tablesAreConserved) }
    report.neverLookedAt = Check.allCases.filter {
      !looks.contains($0) && report.count($0) == 0
    }
  }
}

extension Check {
  /// What a history lacks in which this was never looked at.
  var lack: String {
    switch self {
    case .oneValuePerOffset: "nothing was found at any offset"
    case .oneOffsetPerValue: "no record of an idempotent producer was found"
    case .nothingRefusedIsSeen, .fetchesAreContiguous: "nobody read anything"
    case .acknowledgedIsThere: "nothing acknowledged was looked for in the end"
    case .seenStays: "nothing that was read was looked for in the end"
    case .realTimeOrder: "nothing was begun after something was there"
    case .producerOrder: "nothing was acknowledged to a producer that says its order"
    case .watermarksGoForward: "nobody was told an end or a watermark"
    case .oneLeaderPerEpoch: "no leader and no epoch was told"
    case .transactionsAreWhole, .processingIsExactlyOnce: "there are no transactions yet"
    case .groupOffsetsGoForward: "no offset of a group was committed or fetched"
    case .producerIDsAreUnique: "no producer's id was told"
    case .zombiesAreFenced: "no producer's epoch was told"
    case .replicasAreEqual: "no two nodes' files were read"
    case .acknowledgedIsDurable: "nobody says what is durable on which nodes"
    case .isAvailable: "no bound was given"
    case .tablesAreConserved: "no table was given from both sides"
    case .resourcesAreBounded: "no limits were given, or nothing was measured"
    }
  }
}
