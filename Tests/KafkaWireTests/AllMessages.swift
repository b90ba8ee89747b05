import KafkaWire

/// Every message there is, by name.
let allMessages: [any WireMessage.Type] = [
  RequestHeader.self, ResponseHeader.self,
  ProduceRequest.self, ProduceResponse.self,
  FetchRequest.self, FetchResponse.self,
  ListOffsetsRequest.self, ListOffsetsResponse.self,
  MetadataRequest.self, MetadataResponse.self,
  OffsetCommitRequest.self, OffsetCommitResponse.self,
  OffsetFetchRequest.self, OffsetFetchResponse.self,
  FindCoordinatorRequest.self, FindCoordinatorResponse.self,
  JoinGroupRequest.self, JoinGroupResponse.self,
  HeartbeatRequest.self, HeartbeatResponse.self,
  LeaveGroupRequest.self, LeaveGroupResponse.self,
  SyncGroupRequest.self, SyncGroupResponse.self,
  DescribeGroupsRequest.self, DescribeGroupsResponse.self,
  ListGroupsRequest.self, ListGroupsResponse.self,
  ApiVersionsRequest.self, ApiVersionsResponse.self,
  CreateTopicsRequest.self, CreateTopicsResponse.self,
  DeleteTopicsRequest.self, DeleteTopicsResponse.self,
  DeleteRecordsRequest.self, DeleteRecordsResponse.self,
  InitProducerIdRequest.self, InitProducerIdResponse.self,
  OffsetForLeaderEpochRequest.self, OffsetForLeaderEpochResponse.self,
  AddPartitionsToTxnRequest.self, AddPartitionsToTxnResponse.self,
  DescribeConfigsRequest.self, DescribeConfigsResponse.self,
  AlterConfigsRequest.self, AlterConfigsResponse.self,
  CreatePartitionsRequest.self, CreatePartitionsResponse.self,
  DeleteGroupsRequest.self, DeleteGroupsResponse.self,
  IncrementalAlterConfigsRequest.self, IncrementalAlterConfigsResponse.self,
  OffsetDeleteRequest.self, OffsetDeleteResponse.self,
  DescribeClusterRequest.self, DescribeClusterResponse.self,
  ElectLeadersRequest.self, ElectLeadersResponse.self,
  AlterPartitionReassignmentsRequest.self, AlterPartitionReassignmentsResponse.self,
  ListPartitionReassignmentsRequest.self, ListPartitionReassignmentsResponse.self,
  DescribeQuorumRequest.self, DescribeQuorumResponse.self,
  DescribeTopicPartitionsRequest.self, DescribeTopicPartitionsResponse.self,
  ConsumerProtocolSubscription.self, ConsumerProtocolAssignment.self,
  OffsetCommitKey.self, OffsetCommitValue.self, GroupMetadataKey.self, GroupMetadataValue.self,
]

func message(named name: String) -> (any WireMessage.Type)? {
  allMessages.first { String(describing: $0) == name }
}
