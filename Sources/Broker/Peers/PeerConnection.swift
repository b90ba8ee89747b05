internal import Bytes
internal import Platform

/// Who is told what a connection brings. On the thread of the connection's loop.
protocol PeerConnectionOwner: AnyObject {
  /// A connection that was begun from here has come about.
  func cameAbout(_ connection: PeerConnection)
  /// A whole frame without its size. Until this returns nothing else is read.
  func received(_ frame: ArraySlice<UInt8>, on connection: PeerConnection)
  /// The connection has ended, or must. It is closed already.
  func broke(_ connection: PeerConnection, _ why: String)
}

/// One connection between two nodes, as long as it belongs to one thread.
final class PeerConnection: ReadinessHandler {
  /// What goes from one thread to another.
  struct Parts {
    var socket: Socket
    var input: PeerFrameAssembler
    var output: PeerOutput
    var figures: Figures
  }

  struct Figures: Equatable, Sendable {
    var bytesIn: UInt64 = 0
    var framesIn: UInt64 = 0
  }

  /// Bytes read before others have their turn.
  private static let readBytesMax = 1 << 20

  let socket: Socket
  private let loop: EventLoop
  private weak var owner: (any PeerConnectionOwner)?
  var input: PeerFrameAssembler
  private(set) var output: PeerOutput
  private(set) var figures = Figures()
  private(set) var isConnecting: Bool
  /// Nothing is read, nor does the loop know it.
  private var isHeld = false
  private var isBlocked = false
  private(set) var isClosed = false

  init(
    _ socket: Socket, isConnecting: Bool, on loop: EventLoop, owner: any PeerConnectionOwner
  ) {
    self.socket = socket
    self.loop = loop
    self.owner = owner
    self.isConnecting = isConnecting
    input = PeerFrameAssembler(sizeMax: PeerFrame.openingBytesMax)
    output = PeerOutput()
    loop.add(socket.descriptor, interest, self)
  }

  /// Takes over what another thread had; it is held until `resume`.
  init(_ parts: Parts, on loop: EventLoop, owner: any PeerConnectionOwner) {
    socket = parts.socket
    input = parts.input
    output = parts.output
    figures = parts.figures
    isConnecting = false
    isHeld = true
    self.loop = loop
    self.owner = owner
  }

  func ready(_ readiness: Readiness) {
    if isConnecting {
      if let error = socket.connectError {
        close()
        owner?.broke(self, "\(error)")
      } else if readiness.contains(.writable) {
        isConnecting = false
        loop.change(socket.descriptor, interest)
        owner?.cameAbout(self)
      }
      return
    }
    if readiness.contains(.writable) {
      isBlocked = false
      flush()
    }
    if !isClosed, !isHeld, readiness.contains(.readable) || readiness.contains(.hangUp) {
      receive()
    }
  }

  // MARK: In

  private func receive() {
    var budget = Self.readBytesMax
    while budget > 0, !isClosed, !isHeld {
      var room = 0
      let transfer = unsafe input.receive {
        room = $0.count
        return unsafe socket.receive(into: $0).counted
      }
      switch transfer ?? .wouldBlock {
      case .bytes(let count):
        // Less than there was room for is all: if more has come since, the loop says so.
        budget = count < room ? 0 : budget - count
        figures.bytesIn += UInt64(count)
        deliver()
      case .wouldBlock: return
      case .closed:
        fail("it closed the connection")
        return
      }
    }
  }

  private func deliver() {
    while !isClosed, !isHeld {
      do throws(PeerFault) {
        guard let frame = try input.next() else { return }
        figures.framesIn += 1
        owner?.received(frame, on: self)
      } catch {
        fail(error.description)
      }
    }
  }

  /// Reads no further for now. Whether the other side is there shows only after `resume`.
  func hold() {
    guard !isHeld, !isClosed else { return }
    isHeld = true
    loop.remove(socket.descriptor)
  }

  func resume() {
    guard isHeld, !isClosed else { return }
    isHeld = false
    loop.add(socket.descriptor, interest, self)
    deliver()
  }

  /// Gives up the connection without closing it.
  func release() -> Parts {
    hold()
    isClosed = true
    defer {
      // Two holders of the buffer would copy it.
      input = PeerFrameAssembler(sizeMax: 0)
      output = PeerOutput()
    }
    return Parts(socket: socket, input: input, output: output, figures: figures)
  }

  // MARK: Out

  func add(_ kind: PeerFrame.Kind, _ payload: [UInt8]) {
    guard !isClosed else { return }
    output.add(kind, payload)
  }

  func add(_ frame: PeerFrame) { add(frame.kind, frame.payload()) }

  /// Sends what waits, as much as the kernel takes. That the connection has ended shows when it is
  /// read, not here: who sends is in the middle of something.
  func flush() {
    guard !isClosed, !isConnecting, !isBlocked, !output.isEmpty else { return }
    switch output.send(to: socket) {
    case .bytes: break
    case .wouldBlock, .closed: isBlocked = true
    }
    if !isHeld { loop.change(socket.descriptor, interest) }
  }

  private var interest: Readiness {
    if isConnecting { return [.writable] }
    return isBlocked ? [.readable, .writable] : [.readable]
  }

  // MARK: The end

  private func fail(_ why: String) {
    close()
    owner?.broke(self, why)
  }

  func close() {
    guard !isClosed else { return }
    hold()
    isClosed = true
    socket.shutDown()
    input = PeerFrameAssembler(sizeMax: 0)
    output = PeerOutput()
  }
}
