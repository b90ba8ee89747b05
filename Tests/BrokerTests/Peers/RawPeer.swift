import Broker
import Bytes
import Glibc
import Platform

/// A connection to a node's port that says whatever a test wants it to.
final class RawPeer {
  private let descriptor: Int32
  private var input = PeerFrameAssembler(sizeMax: PeerFrame.bulkBytesMax)

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw PeerNodeError("cannot connect: \(errno)") }
    var patience = timeval(tv_sec: Int(PeerNode.patience / 1000), tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { end() }

  private var hasEnded = false

  func end() {
    guard !hasEnded else { return }
    hasEnded = true
    close(descriptor)
  }

  /// False if the other side takes nothing any more.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  @discardableResult
  func send(_ frame: PeerFrame) -> Bool { send(frame.bytes()) }

  /// The next frame; nil at the end.
  func receive() throws -> PeerFrame? {
    while true {
      if let frame = try input.next() { return try PeerFrame.decode(frame) }
      let count: Int? = input.receive { memory in
        let count = recv(descriptor, memory.baseAddress, memory.count, 0)
        if count < 0, errno == EAGAIN { return (-1, 0) }
        return (count, max(0, count))
      }
      guard count != -1 || errno == ECONNRESET else { throw PeerNodeError("nothing came") }
      guard let count, count > 0 else { return nil }
    }
  }

  /// Whether the other side closes, whatever it says before.
  func isClosed() throws -> Bool {
    let deadline = MonotonicClock.milliseconds() + PeerNode.patience
    while try receive() != nil {
      guard MonotonicClock.milliseconds() < deadline else { return false }
    }
    return true
  }

  /// Reads to the end; what the other side refused with, if it did.
  func refusal() throws -> String? {
    var refusal: String?
    while let frame = try receive() {
      if case .refusal(let why) = frame { refusal = why }
    }
    return refusal
  }
}

/// Both connections of a lower node to a node under test, up to where that answers.
struct RawSession {
  let bulk: RawPeer
  let urgent: RawPeer
  let answers: [PeerHello]

  init(
    _ hello: PeerHello, to node: PeerNode, session: UInt64 = 1, confirms: Bool = true
  ) throws {
    bulk = try RawPeer(port: node.port)
    urgent = try RawPeer(port: node.port)
    var answers: [PeerHello] = []
    for (channel, connection) in [(PeerChannel.urgent, urgent), (.bulk, bulk)] {
      connection.send(
        .opening(PeerOpening(channel: channel, session: session, to: node.id, hello: hello)))
      let answer = try connection.receive()
      guard case .opening(let opening)? = answer, opening.session == session,
        opening.channel == channel, opening.to == hello.node
      else { throw PeerNodeError("not answered: \(String(describing: answer))") }
      answers.append(opening.hello)
    }
    self.answers = answers
    if confirms { beat() }
  }

  func connection(_ channel: PeerChannel) -> RawPeer { channel == .bulk ? bulk : urgent }

  func beat(_ progress: PeerProgress = PeerProgress(), watched: Int64 = 0) {
    urgent.send(.heartbeat(PeerHeartbeat(time: 0, watched: watched, progress: progress)))
  }
}
