internal import CLinux
internal import Glibc

/// An address that a name stands for, as the kernel takes it.
package struct ResolvedAddress: Hashable, Sendable {
  fileprivate let family: Int32
  fileprivate let bytes: [UInt8]

  /// What a name stands for, in the order to try. Asks the system's resolver, which may take
  /// seconds: not for a loop's thread.
  package static func resolve(_ address: SocketAddress) throws(SocketError) -> [ResolvedAddress] {
    try resolve(address, numeric: false)
  }

  /// The address itself, if it is not a name. Asks nobody.
  package static func numeric(_ address: SocketAddress) -> ResolvedAddress? {
    try? resolve(address, numeric: true).first
  }

  private static func resolve(
    _ address: SocketAddress, numeric: Bool
  ) throws(SocketError) -> [ResolvedAddress] {
    let first = try unsafe Socket.resolve(address, passive: false, numeric: numeric)
    defer { unsafe freeaddrinfo(first) }
    var found: [ResolvedAddress] = []
    var next: UnsafeMutablePointer<addrinfo>? = unsafe first
    while let info = unsafe next {
      let memory = unsafe UnsafeRawBufferPointer(
        start: info.pointee.ai_addr, count: Int(info.pointee.ai_addrlen))
      unsafe found.append(ResolvedAddress(family: info.pointee.ai_family, bytes: Array(memory)))
      unsafe next = unsafe info.pointee.ai_next
    }
    return found
  }
}

extension Socket {
  /// Begins to connect. The socket becomes writable when it is decided; `connectError` then tells
  /// how.
  package static func connect(
    _ address: ResolvedAddress, named name: String
  ) throws(SocketError) -> Socket {
    let descriptor = martlet_stream_socket(address.family)
    guard descriptor >= 0 else { throw .failed("making a socket", errno: errno) }
    let socket = Socket(descriptor, peer: name)
    socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    let result = unsafe address.bytes.withUnsafeBytes { bytes in
      unsafe martlet_connect(descriptor, bytes.baseAddress, socklen_t(bytes.count))
    }
    guard result == 0 || errno == EINPROGRESS else {
      throw .failed("connecting to \(name)", errno: errno)
    }
    return socket
  }

  /// Why the connection did not come about; nil if it stands.
  package var connectError: SocketError? {
    let code = martlet_socket_error(descriptor)
    return code == 0 ? nil : .failed("connecting to \(peer)", errno: code)
  }
}
