import Bytes
import KafkaWire
import Records

/// Requests that tests send, in versions that real clients use.
enum Requests {
  static func batch(_ values: [String], timestamp: Int64 = 1_700_000_000_000) throws -> [UInt8] {
    var builder = RecordBatchBuilder()
    for value in values {
      try builder.append(key: nil, value: Array(value.utf8)[...], timestamp: Timestamp(timestamp))
    }
    return builder.buildUncompressed()
  }

  static func createTopic(
    _ name: String, partitions: Int32 = 1, configs: [String: String] = [:]
  ) -> CreateTopicsRequest {
    .with { request in
      var topic = CreateTopicsRequest.Topic()
      topic.name = name
      topic.numPartitions = partitions
      topic.replicationFactor = 1
      topic.configs = configs.sorted { $0.key < $1.key }.map { name, value in
        var config = CreateTopicsRequest.Config()
        config.name = name
        config.value = value
        return config
      }
      request.topics = [topic]
    }
  }

  static func produce(
    _ topic: String, _ values: [String], partition: Int32 = 0, acks: Int16 = -1,
    timeout: Int32 = 30_000
  ) throws -> ProduceRequest {
    let bytes = try batch(values)
    return .with { request in
      request.acks = acks
      request.timeoutMs = timeout
      var part = ProduceRequest.Partition()
      part.index = partition
      part.records = bytes[...]
      var data = ProduceRequest.Topic()
      data.name = topic
      data.partitionData = [part]
      request.topicData = [data]
    }
  }

  static func fetch(
    _ topic: String, from offset: Int64 = 0, partition: Int32 = 0, maxWait: Int32 = 0,
    minBytes: Int32 = 1
  ) -> FetchRequest {
    .with { request in
      request.maxWaitMs = maxWait
      request.minBytes = minBytes
      request.maxBytes = 50 << 20
      var part = FetchRequest.Partition()
      part.partition = partition
      part.fetchOffset = offset
      part.partitionMaxBytes = 1 << 20
      var asked = FetchRequest.Topic()
      asked.topic = topic
      asked.partitions = [part]
      request.topics = [asked]
    }
  }
}

extension FetchResponse {
  /// The values of all records of the first partition.
  func values() throws -> [String] {
    guard let part = responses.first?.partitions.first else { return [] }
    return try part.values()
  }
}

extension FetchResponse.Partition {
  func values() throws -> [String] {
    guard case .bytes(let bytes) = records else { return [] }
    var decompressor = Decompressor()
    var batches = RecordBatches(bytes)
    var values: [String] = []
    while let batch = try batches.next() {
      for record in try batch.records(&decompressor) {
        values.append(String(decoding: record.value ?? [], as: UTF8.self))
      }
    }
    return values
  }
}

extension Requests {
  static func findCoordinator(_ group: String) -> FindCoordinatorRequest {
    .with { $0.key = group }
  }

  static func commit(
    _ group: String, _ topic: String, _ offset: Int64, metadata: String = ""
  ) -> OffsetCommitRequest {
    .with { request in
      request.groupId = group
      request.generationIdOrMemberEpoch = -1
      var part = OffsetCommitRequest.Partition()
      part.committedOffset = offset
      part.committedMetadata = metadata
      var asked = OffsetCommitRequest.Topic()
      asked.name = topic
      asked.partitions = [part]
      request.topics = [asked]
    }
  }

  static func offsetFetch(_ group: String, _ topic: String) -> OffsetFetchRequest {
    .with { request in
      request.groupId = group
      var asked = OffsetFetchRequest.Topic()
      asked.name = topic
      asked.partitionIndexes = [0]
      request.topics = [asked]
    }
  }

  static func deleteRecords(_ topic: String, before offset: Int64) -> DeleteRecordsRequest {
    .with { request in
      request.timeoutMs = 5000
      var part = DeleteRecordsRequest.Partition()
      part.offset = offset
      var asked = DeleteRecordsRequest.Topic()
      asked.name = topic
      asked.partitions = [part]
      request.topics = [asked]
    }
  }

  static func deleteTopic(_ name: String) -> DeleteTopicsRequest {
    .with {
      $0.topicNames = [name]
      $0.timeoutMs = 5000
    }
  }
}
