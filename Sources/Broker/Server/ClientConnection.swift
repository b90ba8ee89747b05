internal import KafkaWire
internal import LogStore

/// One client as the server sees it, over a socket or from this process. On the loop's thread only.
protocol ClientConnection: AnyObject {
  var id: ConnectionID { get }
  /// The other side, for logs and for DescribeGroups.
  var peer: String { get }
  var isClosed: Bool { get }
  /// Answers are still to be sent.
  var hasOutput: Bool { get }

  /// Passes whole frames on for as long as there may be more requests.
  func handOver()

  /// Takes more requests, or no more for now, as the bounds say.
  func updateInterest()

  /// Gives the answer to a request; nil if it has none.
  /// Returns how long the client has waited, in nanoseconds; nil if it is gone.
  @discardableResult
  func answer(_ sequence: UInt64, _ frame: EncodedFrame?, _ slices: [LogSlice]) -> UInt64?

  /// Sends what can be sent, and takes more requests if that made room.
  func send()

  /// Takes no more requests, and closes when everything that waits has been sent.
  func closeAfterOutput()

  /// Gives up everything that waits. Returns the bytes that unanswered requests held.
  func close(_ why: String?) -> Int
}

/// The bounds of one connection, whatever it goes over.
enum ConnectionBounds {
  /// Requests that wait for their responses.
  static let requestsMax = 128
  /// Bytes of responses that wait to be sent.
  static let outputBytesMax = 16 << 20
  /// Taken at once from one connection before the others have their turn.
  static let readBytesMax = 1 << 20
  /// Sent to one client before the others have their turn.
  static let turnBytesMax = 4 << 20
}
