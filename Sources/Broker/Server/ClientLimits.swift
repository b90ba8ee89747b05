internal import KafkaWire

/// What a server bears from its clients, by Kafka's names.
package struct ClientLimits: Sendable {
  /// socket.request.max.bytes
  package var requestBytesMax = Frame.sizeMax
  /// connections.max.idle.ms: a client that neither says nor reads anything for so long, and waits
  /// for no answer, is gone.
  package var idleMilliseconds: Int64 = 600_000

  package init() {}

  /// What is no number is refused where all settings are checked: by the controller.
  package init(_ settings: [(String, String)]) {
    for (name, text) in settings {
      guard let value = Int64(text), value > 0 else { continue }
      switch name {
      case "socket.request.max.bytes": requestBytesMax = Int(min(value, Int64(Frame.sizeMax)))
      case "connections.max.idle.ms": idleMilliseconds = value
      default: break
      }
    }
  }
}
