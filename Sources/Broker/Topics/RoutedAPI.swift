package import KafkaWire

/// One API as this broker serves it: what it says in ApiVersions, and what it answers.
package struct RoutedAPI: Equatable, Sendable {
  package let key: APIKey
  /// What clients are told.
  package let advertised: ClosedRange<Int16>

  init(_ key: APIKey, _ advertised: ClosedRange<Int16>) {
    self.key = key
    self.advertised = advertised
  }

  /// What is answered: of what is told, that which the codec has. A request of a version between
  /// the two closes the connection, as Kafka does with Produce 0 to 2.
  package var served: ClosedRange<Int16> { advertised.clamped(to: key.versions) }
}

/// The APIs that are routed. What is not here is not advertised, and closes the connection.
///
/// Some ranges begin below what is answered. Clients compare them with fixed lists of features
/// (librdkafka before 2.11.1 sends nothing compressed unless Produce includes 0, and joins no group
/// unless OffsetCommit includes 1 or 2); none of them sends a version that low when it may send a
/// higher one.
package enum RoutedAPIs {
  /// Sorted by key. The codec has later versions of some; those say what is not served: topic ids
  /// in Produce 13, OffsetCommit 10 and OffsetFetch 10, tiers in ListOffsets 9, two-phase commit in
  /// InitProducerId 6.
  package static let table: [RoutedAPI] = [
    RoutedAPI(.produce, 0...12),
    RoutedAPI(.fetch, 4...16),
    RoutedAPI(.listOffsets, 1...8),
    RoutedAPI(.metadata, 0...13),
    RoutedAPI(.offsetCommit, 1...9),
    RoutedAPI(.offsetFetch, 1...9),
    RoutedAPI(.findCoordinator, 0...6),
    RoutedAPI(.joinGroup, 0...9),
    RoutedAPI(.heartbeat, 0...4),
    RoutedAPI(.leaveGroup, 0...5),
    RoutedAPI(.syncGroup, 0...5),
    RoutedAPI(.describeGroups, 0...6),
    RoutedAPI(.listGroups, 0...5),
    RoutedAPI(.apiVersions, 0...4),
    RoutedAPI(.createTopics, 0...7),
    RoutedAPI(.deleteTopics, 0...6),
    RoutedAPI(.deleteRecords, 0...2),
    RoutedAPI(.initProducerId, 0...5),
    RoutedAPI(.offsetForLeaderEpoch, 2...4),
    // Refused, so that the client says so: without it librdkafka would ask until it is too late.
    RoutedAPI(.addPartitionsToTxn, 0...3),
    RoutedAPI(.describeConfigs, 0...4),
    RoutedAPI(.alterConfigs, 0...2),
    RoutedAPI(.createPartitions, 0...3),
    RoutedAPI(.deleteGroups, 0...2),
    RoutedAPI(.electLeaders, 0...2),
    RoutedAPI(.incrementalAlterConfigs, 0...1),
    RoutedAPI(.alterPartitionReassignments, 0...1),
    RoutedAPI(.listPartitionReassignments, 0...0),
    RoutedAPI(.offsetDelete, 0...0),
    RoutedAPI(.describeQuorum, 0...2),
    RoutedAPI(.describeCluster, 0...2),
    RoutedAPI(.describeTopicPartitions, 0...0),
  ]

  /// Nil for an API that is not routed.
  package static func route(_ key: APIKey) -> RoutedAPI? { table.first { $0.key == key } }

  /// Whether a request of that version is answered. The connection of one that is not is closed;
  /// only ApiVersions gets an answer in any version.
  package static func serves(_ key: APIKey, version: Int16) -> Bool {
    route(key)?.served.contains(version) ?? false
  }
}

/// The answer to ApiVersions, and the version it is written in: not always the one asked for.
package struct ApiVersionsAnswer: Equatable, Sendable {
  package let response: ApiVersionsResponse
  package let version: Int16

  /// `frame` is a request for ApiVersions, of any version. Throws if its body is malformed, which
  /// closes the connection.
  ///
  /// A version above ours is answered as version 0, which every client reads, with the range to try
  /// next. Its body is not looked at: nobody knows how to read it.
  package init(to frame: RequestFrame) throws(WireError) {
    precondition(frame.api == .apiVersions, "a request for \(frame.api) is routed elsewhere")
    guard RoutedAPIs.serves(.apiVersions, version: frame.version) else {
      response = .with {
        $0.errorCode = .unsupportedVersion
        $0.apiKeys = Self.entries { $0 == .apiVersions }
      }
      version = 0
      return
    }
    version = frame.version
    let request = try frame.decode(ApiVersionsRequest.self)
    if version >= 3 {
      let isNamed =
        Self.isSoftware(request.clientSoftwareName)
        && Self.isSoftware(request.clientSoftwareVersion)
      guard isNamed else {
        response = .with { $0.errorCode = .invalidRequest }
        return
      }
    }
    // No feature is finalized: clients that look for group.version or transaction.version use the
    // protocols that need neither.
    response = .with { $0.apiKeys = Self.entries { _ in true } }
  }

  private static func entries(where isWanted: (APIKey) -> Bool) -> [ApiVersionsResponse.ApiVersion]
  {
    RoutedAPIs.table.filter { isWanted($0.key) }.map { route in
      var entry = ApiVersionsResponse.ApiVersion()
      entry.apiKey = route.key.rawValue
      entry.minVersion = route.advertised.lowerBound
      entry.maxVersion = route.advertised.upperBound
      return entry
    }
  }

  /// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (KIP-511).
  private static func isSoftware(_ text: String) -> Bool {
    guard let first = text.utf8.first, let last = text.utf8.last else { return false }
    let isInnerGood = text.utf8.allSatisfy {
      isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
    }
    return isAlphanumeric(first) && isAlphanumeric(last) && isInnerGood
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }
}
