/// What an embedder appends: bytes, with a key, headers and a time if it wants.
public struct Event: Equatable, Sendable {
  /// What the event is about; events with one key are often kept together by their readers.
  public var key: [UInt8]?
  /// The event itself; nil is a tombstone: the key is gone.
  public var value: [UInt8]?
  /// Names and values, in order; a name may come more than once.
  public var headers: [(name: String, value: [UInt8]?)]
  /// When it happened, in milliseconds since 1970; nil takes the time of the append.
  public var timestamp: Int64?

  /// An event of these bytes.
  public init(
    key: [UInt8]? = nil, value: [UInt8]?, headers: [(name: String, value: [UInt8]?)] = [],
    timestamp: Int64? = nil
  ) {
    self.key = key
    self.value = value
    self.headers = headers
    self.timestamp = timestamp
  }

  /// The same key, value, headers and time.
  public static func == (a: Event, b: Event) -> Bool {
    a.key == b.key && a.value == b.value && a.timestamp == b.timestamp
      && a.headers.elementsEqual(b.headers) { $0.name == $1.name && $0.value == $1.value }
  }
}

/// An event as it is in a log.
public struct StoredEvent: Equatable, Sendable {
  /// Its place: counted from zero, never used again.
  public var offset: Int64
  /// What was appended; its timestamp is never nil.
  public var event: Event
}
