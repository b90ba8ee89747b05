internal import Platform

/// What one thread has for another, in order. The bell rings once for all that waits.
///
/// What waits is bounded by the bytes of messages in it; all else is little and rare. A message has
/// some, however small it is.
final class PeerInbox<Element>: Sendable {
  private struct Waiting {
    var elements: [Element] = []
    var bytes = 0
  }

  /// What a message takes in here, apart from its bytes.
  static var messageBytes: Int { 64 }

  private let waiting = Condition(Waiting(), inheritsPriority: true)
  private let bytesMax: Int
  let bell: Doorbell

  init(bytesMax: Int) throws(DiskError) {
    self.bytesMax = bytesMax
    bell = try Doorbell()
  }

  func put(_ element: Element) { put([element], bytes: 0) }

  /// Several at once: to be woken for each costs more than most of them.
  func put(_ elements: [Element], bytes: Int) {
    let wasEmpty = waiting.withLock { waiting in
      let wasEmpty = waiting.elements.isEmpty
      if wasEmpty { waiting.elements = elements } else { waiting.elements += elements }
      waiting.bytes += bytes
      return wasEmpty
    }
    if wasEmpty { bell.ring() }
  }

  /// Whether that much may be put besides what waits.
  func hasRoom(for bytes: Int) -> Bool {
    waiting.withLock { $0.bytes == 0 || $0.bytes + bytes <= bytesMax }
  }

  func take() -> [Element] {
    // In this order: what is put in between rings again.
    bell.answer()
    return waiting.withLock { waiting in
      defer { waiting = Waiting() }
      return waiting.elements
    }
  }
}

/// Tells a loop that an inbox has something.
final class PeerBell: ReadinessHandler {
  private let take: () -> Void

  init(_ take: @escaping () -> Void) { self.take = take }

  func ready(_ readiness: Readiness) { take() }
}

/// What the liveness thread has for the node's loop. `serial` names one time that both connections
/// to a peer stood.
enum PeerEvent {
  case stands(node: Int32, serial: UInt64, PeerHello, PeerConnection.Parts)
  case ended(node: Int32, serial: UInt64, why: String)
  /// The peer says that it stands still; nil: that it moves again.
  case judged(node: Int32, serial: UInt64, why: String?)
  case news(node: Int32, serial: UInt64, PeerHello)
  case message(node: Int32, serial: UInt64, ArraySlice<UInt8>)
  /// From the loop to itself: more waits for a peer than may.
  case overflowed(node: Int32, serial: UInt64, why: String)
  case ownStalled(Bool)
  case say(String)
}

/// What the node's loop has for the liveness thread.
enum PeerOrder {
  case begin(Socket)
  case send(node: Int32, serial: UInt64, [UInt8])
  /// The bulk connection has ended.
  case broke(node: Int32, serial: UInt64, why: String)
  case hello(PeerHello)
  case found(node: Int32, [ResolvedAddress], why: String?)
  case stop
}

/// What the threads know of each other at any moment.
struct PeerShared {
  var progress = PeerProgress()
  /// How often the loop was asked whether it runs, and how often it has answered.
  var asked: UInt64 = 0
  var answered: UInt64 = 0
  /// Of the urgent channels, by node.
  var urgent: [Int32: PeerMetrics] = [:]
  var hasEnded = false
}
