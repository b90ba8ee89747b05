/// How a client reaches its brokers. Times are in milliseconds.
public struct ClientOptions: Sendable {
  /// The name that brokers log and count by.
  public var clientID = "martlet"
  /// How long an answer may take, beyond what a request itself waits for.
  public var requestTimeoutMilliseconds: Int64 = 30_000
  /// How long a connection may take to come about, name resolution included.
  public var connectTimeoutMilliseconds: Int64 = 10_000
  /// How long to wait after a connection failed; doubled with each failure, up to the maximum.
  public var reconnectBackoffMilliseconds: Int64 = 50
  /// The longest wait between two attempts to connect.
  public var reconnectBackoffMaxMilliseconds: Int64 = 1000
  /// How long to wait before something that failed is tried again; doubled, up to 64 times that.
  public var retryBackoffMilliseconds: Int64 = 5
  /// Metadata older than this is asked for again.
  public var metadataMaxAgeMilliseconds: Int64 = 300_000

  /// Takes a line for people when no broker has been reached for two seconds, every thirty while
  /// that lasts, and when one is; and when a partition was refused for two seconds by an error that
  /// may pass, every thirty while that lasts. Called on the client's thread.
  public var notice: (@Sendable (String) -> Void)?

  /// Options with their defaults.
  public init() {}
}
