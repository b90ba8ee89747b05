/// The requests that are understood, by their number on the wire. Ranges are what this codec reads
/// and writes; what a broker advertises is narrower and decided there.
package enum APIKey: Int16, CaseIterable, Sendable {
  case produce = 0
  case fetch = 1
  case listOffsets = 2
  case metadata = 3
  case offsetCommit = 8
  case offsetFetch = 9
  case findCoordinator = 10
  case joinGroup = 11
  case heartbeat = 12
  case leaveGroup = 13
  case syncGroup = 14
  case describeGroups = 15
  case listGroups = 16
  case apiVersions = 18
  case createTopics = 19
  case deleteTopics = 20
  case deleteRecords = 21
  case initProducerId = 22
  case offsetForLeaderEpoch = 23
  case addPartitionsToTxn = 24
  case describeConfigs = 32
  case alterConfigs = 33
  case createPartitions = 37
  case deleteGroups = 42
  case electLeaders = 43
  case incrementalAlterConfigs = 44
  case alterPartitionReassignments = 45
  case listPartitionReassignments = 46
  case offsetDelete = 47
  case describeQuorum = 55
  case describeCluster = 60
  case describeTopicPartitions = 75

  /// The versions of request and response, which always go together.
  package var versions: ClosedRange<Int16> {
    switch self {
    case .produce: 3...13
    case .fetch: 4...18
    case .listOffsets: 1...11
    case .metadata: 0...13
    case .offsetCommit: 2...10
    case .offsetFetch: 1...10
    case .findCoordinator: 0...6
    case .joinGroup: 0...9
    case .heartbeat: 0...4
    case .leaveGroup: 0...5
    case .syncGroup: 0...5
    case .describeGroups: 0...6
    case .listGroups: 0...5
    case .apiVersions: 0...4
    case .createTopics: 2...7
    case .deleteTopics: 1...6
    case .deleteRecords: 0...2
    case .initProducerId: 0...6
    case .offsetForLeaderEpoch: 2...4
    case .addPartitionsToTxn: 0...3
    case .describeConfigs: 1...4
    case .alterConfigs: 0...2
    case .createPartitions: 0...3
    case .deleteGroups: 0...2
    case .electLeaders: 0...2
    case .incrementalAlterConfigs: 0...1
    case .alterPartitionReassignments: 0...1
    case .listPartitionReassignments: 0...0
    case .offsetDelete: 0...0
    case .describeQuorum: 0...2
    case .describeCluster: 0...2
    case .describeTopicPartitions: 0...0
    }
  }

  /// The first version with compact lengths and tag sections (KIP-482).
  package var flexibleSince: Int16? {
    switch self {
    case .produce: 9
    case .fetch: 12
    case .listOffsets: 6
    case .metadata: 9
    case .offsetCommit: 8
    case .offsetFetch: 6
    case .findCoordinator: 3
    case .joinGroup: 6
    case .heartbeat: 4
    case .leaveGroup: 4
    case .syncGroup: 4
    case .describeGroups: 5
    case .listGroups: 3
    case .apiVersions: 3
    case .createTopics: 5
    case .deleteTopics: 4
    case .deleteRecords: 2
    case .initProducerId: 2
    case .offsetForLeaderEpoch: 4
    case .addPartitionsToTxn: 3
    case .describeConfigs: 4
    case .alterConfigs: 2
    case .createPartitions: 2
    case .deleteGroups: 2
    case .electLeaders: 2
    case .incrementalAlterConfigs: 1
    case .alterPartitionReassignments: 0
    case .listPartitionReassignments: 0
    case .offsetDelete: nil
    case .describeQuorum: 0
    case .describeCluster: 0
    case .describeTopicPartitions: 0
    }
  }

  package func requestHeaderVersion(_ version: Int16) -> Int16 {
    isFlexible(version) ? 2 : 1
  }

  /// Always v0 for ApiVersions: its answer may come in an older version than was asked for, so the
  /// client must be able to read the header before it knows which.
  package func responseHeaderVersion(_ version: Int16) -> Int16 {
    self != .apiVersions && isFlexible(version) ? 1 : 0
  }

  private func isFlexible(_ version: Int16) -> Bool {
    guard let flexibleSince else { return false }
    return version >= flexibleSince
  }
}
