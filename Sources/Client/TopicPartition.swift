/// One partition of a topic.
public struct TopicPartition: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The topic's name.
  public var topic: String
  /// The partition's number, from zero.
  public var partition: Int32

  /// A partition by its topic and number.
  public init(_ topic: String, _ partition: Int32) {
    self.topic = topic
    self.partition = partition
  }

  /// A partition by its topic and number.
  public init(topic: String, partition: Int32) { self.init(topic, partition) }

  /// By topic, then by number.
  public static func < (a: TopicPartition, b: TopicPartition) -> Bool {
    a.topic == b.topic ? a.partition < b.partition : a.topic < b.topic
  }

  /// `topic-0`, as Kafka's tools write it.
  public var description: String { "\(topic)-\(partition)" }
}
