internal import CLinux
internal import Glibc

/// Where to listen or connect: a host name or address and a port.
package struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  package var host: String
  package var port: UInt16

  package init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// `HOST:PORT`, `[V6]:PORT` or `:PORT`; nil if it is none of them.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    self.init(host: host.isEmpty ? "0.0.0.0" : host, port: port)
  }

  package var description: String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}

/// Why the network did not do it.
package enum SocketError: Error, Equatable, Sendable, CustomStringConvertible {
  case unknownHost(String)
  case failed(String, errno: Int32)

  package var description: String {
    switch self {
    case .unknownHost(let host): "there is no host named '\(host)'"
    case .failed(let what, let errno): "\(what) failed: \(errorText(errno))"
    }
  }
}

/// A TCP socket that does not block. Closed when nobody holds it.
package final class Socket {
  package let descriptor: Int32
  /// The other side, for logs and for DescribeGroups.
  package let peer: String

  init(_ descriptor: Int32, peer: String) {
    self.descriptor = descriptor
    self.peer = peer
  }

  deinit { close(descriptor) }

  package enum Transfer: Equatable {
    case bytes(Int)
    /// Nothing now; wait until it is ready.
    case wouldBlock
    /// The other side is gone.
    case closed

    /// With how many bytes were moved.
    package var counted: (Transfer, count: Int) {
      if case .bytes(let count) = self { (self, count) } else { (self, 0) }
    }
  }

  /// Listens on an address. A port of zero takes any that is free; `localPort` tells which.
  package static func listen(_ address: SocketAddress) throws(SocketError) -> Socket {
    let info = try unsafe resolve(address, passive: true)
    defer { unsafe freeaddrinfo(info) }
    let descriptor = unsafe martlet_stream_socket(info.pointee.ai_family)
    guard descriptor >= 0 else { throw .failed("making a socket", errno: errno) }
    let result = Socket(descriptor, peer: address.description)
    result.set(SOL_SOCKET, SO_REUSEADDR, 1)
    guard unsafe martlet_bind(descriptor, info.pointee.ai_addr, info.pointee.ai_addrlen) == 0 else {
      throw .failed("listening on \(address)", errno: errno)
    }
    guard Glibc.listen(descriptor, 1024) == 0 else {
      throw .failed("listening on \(address)", errno: errno)
    }
    return result
  }

  package enum Acceptance {
    case socket(Socket)
    case nobody
    /// Somebody may wait, but the process or the system has no descriptors left.
    case noDescriptors
  }

  /// The next connection, if one waits.
  package func accept() -> Acceptance {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let descriptor = unsafe martlet_accept(self.descriptor, &storage, &length)
    guard descriptor >= 0 else {
      return [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) ? .noDescriptors : .nobody
    }
    let socket = Socket(descriptor, peer: Self.name(&storage, length))
    socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    return .socket(socket)
  }

  /// A second descriptor of the socket, for who closes it; negative if there are none left.
  package func duplicatedDescriptor() -> Int32 { martlet_duplicate(descriptor) }

  /// Where the search for free ports goes on; processes begin at different places.
  private static let searchedPorts = Condition(Int(getpid()) * 31)

  /// Ports of this host on which nobody listens, for who has to name them before they are used.
  ///
  /// They are below those that the kernel takes for connections (32768 and up): of these, one that
  /// is free now may be somebody's a moment later.
  package static func freePorts(_ count: Int) -> [UInt16]? {
    var found: [UInt16] = []
    for _ in 0..<12_000 where found.count < count {
      let step = searchedPorts.withLock { next in
        next += 1
        return next
      }
      let port = UInt16(20_000 + step % 12_000)
      let socket = try? listen(SocketAddress(host: "127.0.0.1", port: port))
      if socket != nil { found.append(port) }
    }
    return found.count == count ? found : nil
  }

  package var localPort: UInt16 {
    UInt16(clamping: martlet_local_port(descriptor))
  }

  package func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
    if count > 0 { return .bytes(count) }
    if count == 0 { return .closed }
    return errno == EAGAIN || errno == EINTR ? .wouldBlock : .closed
  }

  /// Sends several pieces one after another, as much as the kernel takes.
  package func send(_ pieces: [UnsafeRawBufferPointer], more: Bool) -> Transfer {
    var vectors = unsafe pieces.map {
      unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
    }
    var message = unsafe msghdr()
    return unsafe vectors.withUnsafeMutableBufferPointer { vectors in
      unsafe message.msg_iov = vectors.baseAddress
      unsafe message.msg_iovlen = vectors.count
      let flags = Int32(MSG_NOSIGNAL) | (more ? Int32(MSG_MORE) : 0)
      let count = unsafe sendmsg(descriptor, &message, flags)
      if count >= 0 { return .bytes(count) }
      return errno == EAGAIN || errno == EINTR ? .wouldBlock : .closed
    }
  }

  /// Ends the connection now, whoever still holds the socket.
  package func shutDown() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// Has the kernel find out by itself that the other side is gone: a quiet connection is tried
  /// every second, and one of which nothing was confirmed for that long is broken.
  package func noticeSilence(milliseconds: Int) {
    set(SOL_SOCKET, SO_KEEPALIVE, 1)
    set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, 1)
    set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, 1)
    set(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, Int32(clamping: milliseconds))
  }

  /// Sends part of a file without its bytes passing through this process.
  package func send(file: Int32, position: Int64, count: Int) -> Transfer {
    var offset = off_t(position)
    let sent = unsafe sendfile(descriptor, file, &offset, count)
    if sent > 0 { return .bytes(sent) }
    // A file that ends before its time would make the other side wait for ever.
    if sent == 0 { return .closed }
    return errno == EAGAIN || errno == EINTR ? .wouldBlock : .closed
  }

  func set(_ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    _ = unsafe setsockopt(descriptor, level, option, &value, 4)
  }

  static func resolve(
    _ address: SocketAddress, passive: Bool, numeric: Bool = false
  ) throws(SocketError) -> UnsafeMutablePointer<addrinfo> {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = (passive ? AI_PASSIVE : 0) | (numeric ? AI_NUMERICHOST : 0)
    var found: UnsafeMutablePointer<addrinfo>?
    let result = unsafe getaddrinfo(address.host, String(address.port), &hints, &found)
    guard result == 0, let found = unsafe found else { throw .unknownHost(address.host) }
    return unsafe found
  }

  private static func name(_ storage: inout sockaddr_storage, _ length: socklen_t) -> String {
    var host = [CChar](repeating: 0, count: 64)
    let result = unsafe withUnsafePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getnameinfo($0, length, &host, 64, nil, 0, NI_NUMERICHOST)
      }
    }
    guard result == 0 else { return "unknown" }
    return String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
