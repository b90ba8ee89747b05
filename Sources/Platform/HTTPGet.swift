internal import CLinux
internal import Glibc

/// Asks for a page of a server on this machine, and blocks until it is there or the time is over:
/// for a program that looks at nodes' pages, on a thread that may block.
package enum HTTPGet {
  /// Larger pages are refused: they are in memory as a whole.
  private static let bytesMax = 64 << 20

  /// The body of an answer with status 200; nil for any other, and for none in time.
  package static func page(
    _ path: String, at address: SocketAddress, milliseconds: Int64
  ) -> String? {
    let deadline = MonotonicClock.milliseconds() + milliseconds
    guard let resolved = ResolvedAddress.numeric(address),
      let socket = try? Socket.connect(resolved, named: "\(address)"),
      wait(socket, Int16(POLLOUT), deadline), socket.connectError == nil
    else { return nil }
    let request = "GET \(path) HTTP/1.0\r\nHost: \(address)\r\n\r\n"
    // A request of so few bytes goes to the kernel at once.
    guard send(request, on: socket), let answer = receive(socket, deadline) else { return nil }
    return body(of: answer)
  }

  private static func send(_ request: String, on socket: Socket) -> Bool {
    var request = request
    return request.withUTF8 { bytes in
      unsafe socket.send([UnsafeRawBufferPointer(bytes)], more: false) == .bytes(bytes.count)
    }
  }

  /// All that comes until the other side ends.
  private static func receive(_ socket: Socket, _ deadline: Int64) -> [UInt8]? {
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while answer.count < bytesMax {
      switch unsafe buffer.withUnsafeMutableBytes({ unsafe socket.receive(into: $0) }) {
      case .bytes(let count): answer += buffer[..<count]
      case .closed: return answer
      case .wouldBlock:
        guard wait(socket, Int16(POLLIN), deadline) else { return nil }
      }
    }
    return nil
  }

  private static func wait(_ socket: Socket, _ events: Int16, _ deadline: Int64) -> Bool {
    while true {
      let left = deadline - MonotonicClock.milliseconds()
      guard left > 0 else { return false }
      var asked = pollfd(fd: socket.descriptor, events: events, revents: 0)
      let count = unsafe poll(&asked, 1, Int32(clamping: left))
      if count > 0 { return true }
      guard count < 0, errno == EINTR else { return false }
    }
  }

  private static func body(of answer: [UInt8]) -> String? {
    let end = Array("\r\n\r\n".utf8)
    let starts = answer.indices.first { answer[$0...].starts(with: end) }
    let status = String(decoding: answer.prefix(32), as: UTF8.self).split(separator: " ")
    guard let starts, status.count > 1, status[0].hasPrefix("HTTP/1."), status[1] == "200" else {
      return nil
    }
    return String(decoding: answer[(starts + end.count)...], as: UTF8.self)
  }
}
