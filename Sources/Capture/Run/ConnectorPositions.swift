internal import Client
internal import Records

/// The topic in which connectors keep their positions: one partition, compacted, the connector's
/// name is the key.
struct ConnectorPositions {
  private static let lastRecordsFirst: Int64 = 8
  /// Kafka's UNKNOWN_TOPIC_OR_PARTITION and TOPIC_ALREADY_EXISTS.
  private static let unknownTopic = ClientError.Code.broker(3)
  private static let topicExists = ClientError.Code.broker(36)

  let client: Client
  let topic: String

  init(_ client: Client, _ topic: String) {
    self.client = client
    self.topic = topic
  }

  private var partition: TopicPartition { TopicPartition(topic, 0) }

  /// Makes the topic if it is not there.
  func create() throws(ClientError) {
    let found: Outcomes<String, TopicDescription> = try client.wait {
      client.describeTopics([topic], $0)
    }
    switch found[topic] {
    case .success?: return
    case .failure(let error)?:
      guard error.code == Self.unknownTopic else { throw error }
    case nil: break
    }
    let made: Outcomes<String, Void> = try client.wait {
      client.createTopics(
        [NewTopic(topic, partitions: 1, configs: ["cleanup.policy": "compact"])],
        validateOnly: false, $0)
    }
    if case .failure(let error)? = made[topic], error.code != Self.topicExists {
      throw error
    }
  }

  /// The last record of a connector. Looks at the end first and then ever further back, because the
  /// record is written every second.
  func read(_ connector: String) throws -> PositionRecord? {
    let key = Array(connector.utf8)[...]
    guard let range = try client.offsetsBlocking(of: [partition])[partition] else { return nil }
    var end = range.upperBound
    var step = Self.lastRecordsFirst
    while end > range.lowerBound {
      let start = max(range.lowerBound, end - step)
      var found: ArraySlice<UInt8>??
      try client.readBlocking(partition, start..<end) { record in
        if record.key == key { found = .some(record.value) }
        return true
      }
      if let found {
        guard let value = found else { return nil }
        return try parse(value, connector)
      }
      end = start
      step *= 4
    }
    return nil
  }

  private func parse(_ value: ArraySlice<UInt8>, _ connector: String) throws -> PositionRecord {
    do throws(PositionRecordError) {
      return try PositionRecord(json: value)
    } catch {
      throw CaptureError(
        "The position of connector '\(connector)' in the topic '\(topic)' cannot be read: "
          + "\(error). Use a later martlet, or run this one once with --forget to begin anew.")
    }
  }
}
