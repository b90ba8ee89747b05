internal import CLinux
internal import Glibc
internal import KafkaWire
internal import Platform

/// A connection to one node with at most one request under way.
final class Link {
  private let address: ResolvedAddress
  private var socket: Socket?
  private var input: [UInt8] = []
  private var request: [UInt8] = []
  private var sent = 0
  /// When the request under way was begun, in nanoseconds.
  private(set) var askedAt: UInt64?

  init(_ address: SocketAddress) throws {
    guard let resolved = ResolvedAddress.numeric(address) else {
      throw SocketError.failed("resolving \(address)", errno: EINVAL)
    }
    self.address = resolved
  }

  var descriptor: Int32? { socket?.descriptor }
  var isBusy: Bool { askedAt != nil }
  var wantsToWrite: Bool { sent < request.count }

  /// Begins to send; connects first where there is no connection.
  func ask(_ frame: [UInt8], now: UInt64) {
    askedAt = now
    request = frame
    sent = 0
    if let socket {
      guard write(socket) else { return close() }
    } else {
      socket = try? Socket.connect(address, named: "a node")
      if socket == nil { close() }
    }
  }

  /// The answer, once it is whole. A connection that broke is closed: then it is not busy.
  func proceed() -> ArraySlice<UInt8>? {
    guard let socket else { return nil }
    if wantsToWrite, !write(socket) {
      close()
      return nil
    }
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let received = unsafe chunk.withUnsafeMutableBytes { unsafe socket.receive(into: $0) }
    switch received {
    case .bytes(let count): input += chunk[..<count]
    case .wouldBlock: return nil
    case .closed:
      close()
      return nil
    }
    guard input.count >= 4 else { return nil }
    let size = input[..<4].reduce(0) { $0 << 8 | Int($1) }
    guard input.count >= 4 + size else { return nil }
    let frame = input[4..<(4 + size)]
    input = []
    askedAt = nil
    return frame
  }

  func close() {
    socket = nil
    input = []
    request = []
    sent = 0
    askedAt = nil
  }

  /// False if the connection is broken; one that is not made yet is not.
  private func write(_ socket: Socket) -> Bool {
    guard wantsToWrite else { return true }
    guard socket.connectError == nil else { return false }
    let result = unsafe request.withUnsafeBytes { bytes in
      unsafe socket.send([UnsafeRawBufferPointer(rebasing: bytes[sent...])], more: false)
    }
    switch result {
    case .bytes(let count): sent += count
    case .wouldBlock: break
    // A connection that is not made yet says so too.
    case .closed: return errno == ENOTCONN || errno == EPIPE ? !isRefused(socket) : false
    }
    return true
  }

  private func isRefused(_ socket: Socket) -> Bool {
    var check = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&check, 1, 0) > 0 && Int32(check.revents) & (POLLERR | POLLHUP) != 0
  }
}
