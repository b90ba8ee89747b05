internal import KafkaWire
internal import LogStore
internal import Platform

/// The requests of one connection that are not answered yet, in their order: answers leave in the
/// order of the requests, whichever is ready first.
struct OpenRequests {
  private enum Slot {
    case waiting(bytes: Int, since: UInt64)
    case ready(Response, bytes: Int)
    /// The request has no response (acks = 0).
    case none(bytes: Int)

    var bytes: Int {
      switch self {
      case .waiting(let bytes, _), .ready(_, let bytes), .none(let bytes): bytes
      }
    }
  }

  /// A response and the parts of files that fill its holes, in order.
  struct Response {
    var frame: EncodedFrame
    var slices: [LogSlice]
  }

  private var slots: [Slot] = []
  /// The sequence number of the first slot.
  private var firstSequence: UInt64 = 0

  var count: Int { slots.count }
  var isEmpty: Bool { slots.isEmpty }
  /// Of all requests that are here.
  var bytes: Int { slots.reduce(0) { $0 + $1.bytes } }

  /// Takes in a request; the result names it.
  mutating func begin(bytes: Int) -> UInt64 {
    slots.append(.waiting(bytes: bytes, since: MonotonicClock.nanoseconds()))
    return firstSequence + UInt64(slots.count - 1)
  }

  /// Returns how long the request has waited, in nanoseconds; nil if it is not known any more.
  mutating func answer(_ sequence: UInt64, _ response: Response?) -> UInt64? {
    guard sequence >= firstSequence else { return nil }
    let index = Int(sequence - firstSequence)
    guard index < slots.count, case .waiting(let bytes, let since) = slots[index] else {
      fatalError("request \(sequence) was answered twice")
    }
    slots[index] = response.map { .ready($0, bytes: bytes) } ?? .none(bytes: bytes)
    return MonotonicClock.nanoseconds() - since
  }

  /// The first request, if it is answered: its response, if it has one, and the bytes it held.
  mutating func takeAnswered() -> (response: Response?, bytes: Int)? {
    guard let first = slots.first else { return nil }
    switch first {
    case .waiting: return nil
    case .ready(let response, let bytes):
      leave()
      return (response, bytes)
    case .none(let bytes):
      leave()
      return (nil, bytes)
    }
  }

  private mutating func leave() {
    slots.removeFirst()
    firstSequence += 1
  }
}
