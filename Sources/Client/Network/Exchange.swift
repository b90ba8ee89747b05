internal import KafkaWire

/// A request on its way, and who waits for the answer.
final class Exchange {
  typealias Reply = (body: ArraySlice<UInt8>, version: Int16)

  let api: APIKey
  /// Milliseconds on the monotonic clock.
  let deadline: Int64
  /// False for a request without an answer (acks = 0): done when it is handed to the transport.
  let hasResponse: Bool
  /// The frame, size included, in a version that both sides speak.
  let encode: (_ version: Int16, _ correlation: Int32) throws(WireError) -> [UInt8]
  private var completion: ((Result<Reply, ClientError>) -> Void)?
  var version: Int16 = 0
  var correlation: Int32 = 0

  init(
    _ api: APIKey, deadline: Int64, hasResponse: Bool,
    encode: @escaping (Int16, Int32) throws(WireError) -> [UInt8],
    completion: @escaping (Result<Reply, ClientError>) -> Void
  ) {
    self.api = api
    self.deadline = deadline
    self.hasResponse = hasResponse
    self.encode = encode
    self.completion = completion
  }

  func finish(_ result: Result<Reply, ClientError>) {
    let completion = self.completion
    self.completion = nil
    completion?(result)
  }
}

/// The versions that a broker and this client both speak.
struct SpokenVersions {
  private var ranges: [Int16: ClosedRange<Int16>] = [:]

  /// Nothing is known yet: only ApiVersions can be asked.
  init() {}

  init(_ response: ApiVersionsResponse) {
    for entry in response.apiKeys where entry.minVersion <= entry.maxVersion {
      ranges[entry.apiKey] = entry.minVersion...entry.maxVersion
    }
  }

  /// The highest version of an API for both; nil if there is none.
  func version(of api: APIKey) -> Int16? {
    guard let theirs = ranges[api.rawValue] else { return nil }
    let ours = api.versions.lowerBound...Self.highest(of: api)
    guard theirs.overlaps(ours) else { return nil }
    return min(theirs.upperBound, ours.upperBound)
  }

  /// Topics are named, not numbered, in what this client sends: a name survives that a topic is
  /// made again, which its users expect of a name. Tiers and two-phase commit are not used.
  private static func highest(of api: APIKey) -> Int16 {
    switch api {
    case .produce, .fetch: 12
    case .listOffsets: 8
    case .offsetCommit, .offsetFetch: 9
    case .initProducerId: 5
    default: api.versions.upperBound
    }
  }
}
