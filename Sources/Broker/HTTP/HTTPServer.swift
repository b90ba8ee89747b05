internal import CLinux
internal import CMicrohttpd
internal import Glibc
package import Platform

/// An HTTP response.
package struct HTTPResponse: Sendable {
  package var status: UInt32
  package var contentType: String
  package var body: String

  package init(status: UInt32 = 200, contentType: String = "text/plain", _ body: String) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }
}

/// Answers GET requests, on a thread of libmicrohttpd's.
///
/// Unchecked: its pointers never change, and are the library's, which has a thread for them.
///
/// Bounded: `connectionsMax` clients at once, idle ones are sent away, bodies are not read.
@safe
package final class HTTPServer: @unchecked Sendable {
  private static let connectionsMax: UInt32 = 64
  private static let idleSeconds: UInt32 = 30

  package let port: UInt16
  private let daemon: OpaquePointer
  private let context: Unmanaged<Context>

  private final class Context: Sendable {
    let respond: @Sendable (String) -> HTTPResponse

    init(_ respond: @escaping @Sendable (String) -> HTTPResponse) { self.respond = respond }
  }

  /// Listens on `address`. `respond` is called on the server's thread with the path.
  ///
  /// The socket is ours: the library would share the port with any other process that asks for it
  /// in the same way (SO_REUSEPORT), or refuse a restart while old connections time out.
  package init(
    _ address: SocketAddress, _ respond: @escaping @Sendable (String) -> HTTPResponse
  ) throws(SocketError) {
    let socket = try Socket.listen(address)
    port = socket.localPort
    let context = unsafe Unmanaged.passRetained(Context(respond))
    // The library closes what it is given.
    let listener = socket.duplicatedDescriptor()
    let daemon = unsafe martlet_http_start(
      listener, HTTPServer.handle, context.toOpaque(), Self.connectionsMax, Self.idleSeconds)
    guard let daemon = unsafe daemon else {
      unsafe context.release()
      throw .failed("listening for HTTP on \(address)", errno: errno)
    }
    unsafe self.daemon = unsafe daemon
    unsafe self.context = unsafe context
  }

  deinit {
    unsafe MHD_stop_daemon(daemon)
    unsafe context.release()
  }

  private static let handle: MHD_AccessHandlerCallback = {
    context, connection, url, method, _, _, _, _ in
    guard let context = unsafe context, let url = unsafe url, let method = unsafe method else {
      return .NO
    }
    let path = unsafe String(cString: url)
    let isGet = unsafe String(cString: method) == "GET"
    let responder = unsafe Unmanaged<Context>.fromOpaque(context).takeUnretainedValue()
    let answer =
      isGet ? responder.respond(path) : HTTPResponse(status: 405, "Only GET is understood here.\n")
    var body = answer.body
    let response = body.withUTF8 { bytes in
      unsafe MHD_create_response_from_buffer(
        bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress),
        MHD_ResponseMemoryMode.RESPMEM_MUST_COPY)
    }
    guard let response = unsafe response else { return .NO }
    unsafe MHD_add_response_header(response, "Content-Type", answer.contentType)
    let result = unsafe MHD_queue_response(connection, answer.status, response)
    unsafe MHD_destroy_response(response)
    return result
  }
}
