/// The outcome of a request or of a part of it. Codes that no name is known for are kept as they
/// are.
package struct ErrorCode: RawRepresentable, Hashable, Sendable {
  package var rawValue: Int16

  package init(rawValue: Int16) { self.rawValue = rawValue }

  /// Every code with a name.
  package static let known = (-1...133).map { ErrorCode(rawValue: $0) }

  /// Kafka's name, as in its documentation and its clients' messages; nil for an unknown code.
  package var name: String? {
    let index = Int(rawValue) + 1
    return ErrorCode.names.indices.contains(index) ? ErrorCode.names[index] : nil
  }

  /// Whether the same request may succeed when it is sent again, perhaps elsewhere.
  package var isRetriable: Bool {
    switch rawValue {
    case 2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80,
      83, 84, 88, 89, 100, 103, 106, 122, 123, 133:
      true
    default: false
    }
  }
}

extension ErrorCode: CustomStringConvertible {
  package var description: String { "\(name ?? "UNKNOWN")(\(rawValue))" }
}

extension ErrorCode {
  package static let unknownServerError = ErrorCode(rawValue: -1)
  package static let none = ErrorCode(rawValue: 0)
  package static let offsetOutOfRange = ErrorCode(rawValue: 1)
  package static let corruptMessage = ErrorCode(rawValue: 2)
  package static let unknownTopicOrPartition = ErrorCode(rawValue: 3)
  package static let invalidFetchSize = ErrorCode(rawValue: 4)
  package static let leaderNotAvailable = ErrorCode(rawValue: 5)
  package static let notLeaderOrFollower = ErrorCode(rawValue: 6)
  package static let requestTimedOut = ErrorCode(rawValue: 7)
  package static let brokerNotAvailable = ErrorCode(rawValue: 8)
  package static let replicaNotAvailable = ErrorCode(rawValue: 9)
  package static let messageTooLarge = ErrorCode(rawValue: 10)
  package static let staleControllerEpoch = ErrorCode(rawValue: 11)
  package static let offsetMetadataTooLarge = ErrorCode(rawValue: 12)
  package static let networkException = ErrorCode(rawValue: 13)
  package static let coordinatorLoadInProgress = ErrorCode(rawValue: 14)
  package static let coordinatorNotAvailable = ErrorCode(rawValue: 15)
  package static let notCoordinator = ErrorCode(rawValue: 16)
  package static let invalidTopicException = ErrorCode(rawValue: 17)
  package static let recordListTooLarge = ErrorCode(rawValue: 18)
  package static let notEnoughReplicas = ErrorCode(rawValue: 19)
  package static let notEnoughReplicasAfterAppend = ErrorCode(rawValue: 20)
  package static let invalidRequiredAcks = ErrorCode(rawValue: 21)
  package static let illegalGeneration = ErrorCode(rawValue: 22)
  package static let inconsistentGroupProtocol = ErrorCode(rawValue: 23)
  package static let invalidGroupId = ErrorCode(rawValue: 24)
  package static let unknownMemberId = ErrorCode(rawValue: 25)
  package static let invalidSessionTimeout = ErrorCode(rawValue: 26)
  package static let rebalanceInProgress = ErrorCode(rawValue: 27)
  package static let invalidCommitOffsetSize = ErrorCode(rawValue: 28)
  package static let topicAuthorizationFailed = ErrorCode(rawValue: 29)
  package static let groupAuthorizationFailed = ErrorCode(rawValue: 30)
  package static let clusterAuthorizationFailed = ErrorCode(rawValue: 31)
  package static let invalidTimestamp = ErrorCode(rawValue: 32)
  package static let unsupportedSaslMechanism = ErrorCode(rawValue: 33)
  package static let illegalSaslState = ErrorCode(rawValue: 34)
  package static let unsupportedVersion = ErrorCode(rawValue: 35)
  package static let topicAlreadyExists = ErrorCode(rawValue: 36)
  package static let invalidPartitions = ErrorCode(rawValue: 37)
  package static let invalidReplicationFactor = ErrorCode(rawValue: 38)
  package static let invalidReplicaAssignment = ErrorCode(rawValue: 39)
  package static let invalidConfig = ErrorCode(rawValue: 40)
  package static let notController = ErrorCode(rawValue: 41)
  package static let invalidRequest = ErrorCode(rawValue: 42)
  package static let unsupportedForMessageFormat = ErrorCode(rawValue: 43)
  package static let policyViolation = ErrorCode(rawValue: 44)
  package static let outOfOrderSequenceNumber = ErrorCode(rawValue: 45)
  package static let duplicateSequenceNumber = ErrorCode(rawValue: 46)
  package static let invalidProducerEpoch = ErrorCode(rawValue: 47)
  package static let invalidTxnState = ErrorCode(rawValue: 48)
  package static let invalidProducerIdMapping = ErrorCode(rawValue: 49)
  package static let invalidTransactionTimeout = ErrorCode(rawValue: 50)
  package static let concurrentTransactions = ErrorCode(rawValue: 51)
  package static let transactionCoordinatorFenced = ErrorCode(rawValue: 52)
  package static let transactionalIdAuthorizationFailed = ErrorCode(rawValue: 53)
  package static let securityDisabled = ErrorCode(rawValue: 54)
  package static let operationNotAttempted = ErrorCode(rawValue: 55)
  package static let kafkaStorageError = ErrorCode(rawValue: 56)
  package static let logDirNotFound = ErrorCode(rawValue: 57)
  package static let saslAuthenticationFailed = ErrorCode(rawValue: 58)
  package static let unknownProducerId = ErrorCode(rawValue: 59)
  package static let reassignmentInProgress = ErrorCode(rawValue: 60)
  package static let delegationTokenAuthDisabled = ErrorCode(rawValue: 61)
  package static let delegationTokenNotFound = ErrorCode(rawValue: 62)
  package static let delegationTokenOwnerMismatch = ErrorCode(rawValue: 63)
  package static let delegationTokenRequestNotAllowed = ErrorCode(rawValue: 64)
  package static let delegationTokenAuthorizationFailed = ErrorCode(rawValue: 65)
  package static let delegationTokenExpired = ErrorCode(rawValue: 66)
  package static let invalidPrincipalType = ErrorCode(rawValue: 67)
  package static let nonEmptyGroup = ErrorCode(rawValue: 68)
  package static let groupIdNotFound = ErrorCode(rawValue: 69)
  package static let fetchSessionIdNotFound = ErrorCode(rawValue: 70)
  package static let invalidFetchSessionEpoch = ErrorCode(rawValue: 71)
  package static let listenerNotFound = ErrorCode(rawValue: 72)
  package static let topicDeletionDisabled = ErrorCode(rawValue: 73)
  package static let fencedLeaderEpoch = ErrorCode(rawValue: 74)
  package static let unknownLeaderEpoch = ErrorCode(rawValue: 75)
  package static let unsupportedCompressionType = ErrorCode(rawValue: 76)
  package static let staleBrokerEpoch = ErrorCode(rawValue: 77)
  package static let offsetNotAvailable = ErrorCode(rawValue: 78)
  package static let memberIdRequired = ErrorCode(rawValue: 79)
  package static let preferredLeaderNotAvailable = ErrorCode(rawValue: 80)
  package static let groupMaxSizeReached = ErrorCode(rawValue: 81)
  package static let fencedInstanceId = ErrorCode(rawValue: 82)
  package static let eligibleLeadersNotAvailable = ErrorCode(rawValue: 83)
  package static let electionNotNeeded = ErrorCode(rawValue: 84)
  package static let noReassignmentInProgress = ErrorCode(rawValue: 85)
  package static let groupSubscribedToTopic = ErrorCode(rawValue: 86)
  package static let invalidRecord = ErrorCode(rawValue: 87)
  package static let unstableOffsetCommit = ErrorCode(rawValue: 88)
  package static let throttlingQuotaExceeded = ErrorCode(rawValue: 89)
  package static let producerFenced = ErrorCode(rawValue: 90)
  package static let resourceNotFound = ErrorCode(rawValue: 91)
  package static let duplicateResource = ErrorCode(rawValue: 92)
  package static let unacceptableCredential = ErrorCode(rawValue: 93)
  package static let inconsistentVoterSet = ErrorCode(rawValue: 94)
  package static let invalidUpdateVersion = ErrorCode(rawValue: 95)
  package static let featureUpdateFailed = ErrorCode(rawValue: 96)
  package static let principalDeserializationFailure = ErrorCode(rawValue: 97)
  package static let snapshotNotFound = ErrorCode(rawValue: 98)
  package static let positionOutOfRange = ErrorCode(rawValue: 99)
  package static let unknownTopicId = ErrorCode(rawValue: 100)
  package static let duplicateBrokerRegistration = ErrorCode(rawValue: 101)
  package static let brokerIdNotRegistered = ErrorCode(rawValue: 102)
  package static let inconsistentTopicId = ErrorCode(rawValue: 103)
  package static let inconsistentClusterId = ErrorCode(rawValue: 104)
  package static let transactionalIdNotFound = ErrorCode(rawValue: 105)
  package static let fetchSessionTopicIdError = ErrorCode(rawValue: 106)
  package static let ineligibleReplica = ErrorCode(rawValue: 107)
  package static let newLeaderElected = ErrorCode(rawValue: 108)
  package static let offsetMovedToTieredStorage = ErrorCode(rawValue: 109)
  package static let fencedMemberEpoch = ErrorCode(rawValue: 110)
  package static let unreleasedInstanceId = ErrorCode(rawValue: 111)
  package static let unsupportedAssignor = ErrorCode(rawValue: 112)
  package static let staleMemberEpoch = ErrorCode(rawValue: 113)
  package static let mismatchedEndpointType = ErrorCode(rawValue: 114)
  package static let unsupportedEndpointType = ErrorCode(rawValue: 115)
  package static let unknownControllerId = ErrorCode(rawValue: 116)
  package static let unknownSubscriptionId = ErrorCode(rawValue: 117)
  package static let telemetryTooLarge = ErrorCode(rawValue: 118)
  package static let invalidRegistration = ErrorCode(rawValue: 119)
  package static let transactionAbortable = ErrorCode(rawValue: 120)
  package static let invalidRecordState = ErrorCode(rawValue: 121)
  package static let shareSessionNotFound = ErrorCode(rawValue: 122)
  package static let invalidShareSessionEpoch = ErrorCode(rawValue: 123)
  package static let fencedStateEpoch = ErrorCode(rawValue: 124)
  package static let invalidVoterKey = ErrorCode(rawValue: 125)
  package static let duplicateVoter = ErrorCode(rawValue: 126)
  package static let voterNotFound = ErrorCode(rawValue: 127)
  package static let invalidRegularExpression = ErrorCode(rawValue: 128)
  package static let rebootstrapRequired = ErrorCode(rawValue: 129)
  package static let streamsInvalidTopology = ErrorCode(rawValue: 130)
  package static let streamsInvalidTopologyEpoch = ErrorCode(rawValue: 131)
  package static let streamsTopologyFenced = ErrorCode(rawValue: 132)
  package static let shareSessionLimitReached = ErrorCode(rawValue: 133)

  /// By code, from -1 on.
  private static let names = [
    "UNKNOWN_SERVER_ERROR",
    "NONE",
    "OFFSET_OUT_OF_RANGE",
    "CORRUPT_MESSAGE",
    "UNKNOWN_TOPIC_OR_PARTITION",
    "INVALID_FETCH_SIZE",
    "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_OR_FOLLOWER",
    "REQUEST_TIMED_OUT",
    "BROKER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "MESSAGE_TOO_LARGE",
    "STALE_CONTROLLER_EPOCH",
    "OFFSET_METADATA_TOO_LARGE",
    "NETWORK_EXCEPTION",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "NOT_COORDINATOR",
    "INVALID_TOPIC_EXCEPTION",
    "RECORD_LIST_TOO_LARGE",
    "NOT_ENOUGH_REPLICAS",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "INVALID_REQUIRED_ACKS",
    "ILLEGAL_GENERATION",
    "INCONSISTENT_GROUP_PROTOCOL",
    "INVALID_GROUP_ID",
    "UNKNOWN_MEMBER_ID",
    "INVALID_SESSION_TIMEOUT",
    "REBALANCE_IN_PROGRESS",
    "INVALID_COMMIT_OFFSET_SIZE",
    "TOPIC_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "INVALID_TIMESTAMP",
    "UNSUPPORTED_SASL_MECHANISM",
    "ILLEGAL_SASL_STATE",
    "UNSUPPORTED_VERSION",
    "TOPIC_ALREADY_EXISTS",
    "INVALID_PARTITIONS",
    "INVALID_REPLICATION_FACTOR",
    "INVALID_REPLICA_ASSIGNMENT",
    "INVALID_CONFIG",
    "NOT_CONTROLLER",
    "INVALID_REQUEST",
    "UNSUPPORTED_FOR_MESSAGE_FORMAT",
    "POLICY_VIOLATION",
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    "DUPLICATE_SEQUENCE_NUMBER",
    "INVALID_PRODUCER_EPOCH",
    "INVALID_TXN_STATE",
    "INVALID_PRODUCER_ID_MAPPING",
    "INVALID_TRANSACTION_TIMEOUT",
    "CONCURRENT_TRANSACTIONS",
    "TRANSACTION_COORDINATOR_FENCED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    "SECURITY_DISABLED",
    "OPERATION_NOT_ATTEMPTED",
    "KAFKA_STORAGE_ERROR",
    "LOG_DIR_NOT_FOUND",
    "SASL_AUTHENTICATION_FAILED",
    "UNKNOWN_PRODUCER_ID",
    "REASSIGNMENT_IN_PROGRESS",
    "DELEGATION_TOKEN_AUTH_DISABLED",
    "DELEGATION_TOKEN_NOT_FOUND",
    "DELEGATION_TOKEN_OWNER_MISMATCH",
    "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
    "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
    "DELEGATION_TOKEN_EXPIRED",
    "INVALID_PRINCIPAL_TYPE",
    "NON_EMPTY_GROUP",
    "GROUP_ID_NOT_FOUND",
    "FETCH_SESSION_ID_NOT_FOUND",
    "INVALID_FETCH_SESSION_EPOCH",
    "LISTENER_NOT_FOUND",
    "TOPIC_DELETION_DISABLED",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
    "UNSUPPORTED_COMPRESSION_TYPE",
    "STALE_BROKER_EPOCH",
    "OFFSET_NOT_AVAILABLE",
    "MEMBER_ID_REQUIRED",
    "PREFERRED_LEADER_NOT_AVAILABLE",
    "GROUP_MAX_SIZE_REACHED",
    "FENCED_INSTANCE_ID",
    "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    "ELECTION_NOT_NEEDED",
    "NO_REASSIGNMENT_IN_PROGRESS",
    "GROUP_SUBSCRIBED_TO_TOPIC",
    "INVALID_RECORD",
    "UNSTABLE_OFFSET_COMMIT",
    "THROTTLING_QUOTA_EXCEEDED",
    "PRODUCER_FENCED",
    "RESOURCE_NOT_FOUND",
    "DUPLICATE_RESOURCE",
    "UNACCEPTABLE_CREDENTIAL",
    "INCONSISTENT_VOTER_SET",
    "INVALID_UPDATE_VERSION",
    "FEATURE_UPDATE_FAILED",
    "PRINCIPAL_DESERIALIZATION_FAILURE",
    "SNAPSHOT_NOT_FOUND",
    "POSITION_OUT_OF_RANGE",
    "UNKNOWN_TOPIC_ID",
    "DUPLICATE_BROKER_REGISTRATION",
    "BROKER_ID_NOT_REGISTERED",
    "INCONSISTENT_TOPIC_ID",
    "INCONSISTENT_CLUSTER_ID",
    "TRANSACTIONAL_ID_NOT_FOUND",
    "FETCH_SESSION_TOPIC_ID_ERROR",
    "INELIGIBLE_REPLICA",
    "NEW_LEADER_ELECTED",
    "OFFSET_MOVED_TO_TIERED_STORAGE",
    "FENCED_MEMBER_EPOCH",
    "UNRELEASED_INSTANCE_ID",
    "UNSUPPORTED_ASSIGNOR",
    "STALE_MEMBER_EPOCH",
    "MISMATCHED_ENDPOINT_TYPE",
    "UNSUPPORTED_ENDPOINT_TYPE",
    "UNKNOWN_CONTROLLER_ID",
    "UNKNOWN_SUBSCRIPTION_ID",
    "TELEMETRY_TOO_LARGE",
    "INVALID_REGISTRATION",
    "TRANSACTION_ABORTABLE",
    "INVALID_RECORD_STATE",
    "SHARE_SESSION_NOT_FOUND",
    "INVALID_SHARE_SESSION_EPOCH",
    "FENCED_STATE_EPOCH",
    "INVALID_VOTER_KEY",
    "DUPLICATE_VOTER",
    "VOTER_NOT_FOUND",
    "INVALID_REGULAR_EXPRESSION",
    "REBOOTSTRAP_REQUIRED",
    "STREAMS_INVALID_TOPOLOGY",
    "STREAMS_INVALID_TOPOLOGY_EPOCH",
    "STREAMS_TOPOLOGY_FENCED",
    "SHARE_SESSION_LIMIT_REACHED",
  ]
}
