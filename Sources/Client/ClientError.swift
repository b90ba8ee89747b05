package import KafkaWire

/// Why the client did not do what it was asked for.
public struct ClientError: Error, Hashable, Sendable {
  /// The kind of a failure, for programs; the message is for people.
  public enum Code: Hashable, Sendable {
    /// The task was cancelled while it waited. What it asked for may have happened.
    case cancelled
    /// The client, producer or consumer was closed before it was done.
    case closed
    /// It took longer than it may. What was asked for may have happened.
    case timedOut
    /// No connection, or a connection that ended before the answer came.
    case disconnected
    /// Another producer or member has taken the place of this one, for good.
    case fenced
    /// An argument or an option that cannot be.
    case invalidArgument
    /// The broker speaks no version that this client speaks.
    case unsupportedVersion
    /// A response or a record batch that is not well formed.
    case corruptData
    /// A consumer has no offset to start from, and is not to choose one.
    case noOffset
    /// The group moved on; its partitions may belong to another member now.
    case rebalanced
    /// What the broker answered, by Kafka's number (see `KafkaWire.ErrorCode`).
    case broker(Int16)
  }

  /// The kind of the failure.
  public let code: Code
  /// One sentence: what is wrong, where, what to do.
  public let message: String
  /// The record that is too large for its topic, where that is what is wrong.
  package var oversized: OversizedRecord?

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// A code from a broker, with what was asked of it.
  package init(_ code: ErrorCode, _ doing: String, _ brokerMessage: String? = nil) {
    let why =
      if let brokerMessage, !brokerMessage.isEmpty { " (\(brokerMessage))" } else { "" }
    switch code {
    case .producerFenced, .invalidProducerEpoch, .fencedInstanceId:
      self.init(.fenced, "\(doing) was refused with \(code)\(why): another one took this place")
    default:
      self.init(.broker(code.rawValue), "\(doing) was refused with \(code)\(why)")
    }
  }

  /// The broker's code, where there is one.
  package var brokerCode: ErrorCode? {
    guard case .broker(let code) = code else { return nil }
    return ErrorCode(rawValue: code)
  }

  /// Whether the same call may succeed when it is made again.
  public var isRetriable: Bool {
    switch code {
    case .timedOut, .disconnected, .rebalanced: true
    case .broker: brokerCode?.isRetriable ?? false
    case .cancelled, .closed, .fenced, .invalidArgument, .unsupportedVersion, .corruptData,
      .noOffset:
      false
    }
  }
}

/// A record that its topic does not take.
package struct OversizedRecord: Hashable, Sendable {
  package var partition: TopicPartition
  package var key: [UInt8]?
  /// Of its batch, in which it is alone, in bytes.
  package var size: Int

  package init(partition: TopicPartition, key: [UInt8]?, size: Int) {
    self.partition = partition
    self.key = key
    self.size = size
  }
}

extension ClientError: CustomStringConvertible {
  /// The message.
  public var description: String { message }
}

extension ClientError {
  static let closed = ClientError(.closed, "the client was closed")
  static let cancelled = ClientError(.cancelled, "the task was cancelled")
}
