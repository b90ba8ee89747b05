internal import Bytes
internal import KafkaWire
internal import Platform

/// What a connection hears from its transport, on the client's thread.
protocol TransportOwner: AnyObject {
  func transportOpened()
  /// A whole response frame, without its size.
  func transportReceived(_ frame: ArraySlice<UInt8>)
  /// Bytes have left; there may be room for more.
  func transportSent()
  /// The end; nothing comes after it.
  func transportClosed(_ error: ClientError)
}

/// One way to move frames.
protocol Transport: AnyObject {
  /// Sends a frame that begins with its size.
  func send(_ frame: [UInt8])
  /// Bytes that wait to be sent.
  var unsentSize: Int { get }
  /// Says nothing more to its owner.
  func close()
}

/// A frame's bytes over TCP.
final class TCPTransport: Transport, ReadinessHandler {
  /// Read at once from one connection before the others have their turn.
  private static let readBytesMax = 4 << 20
  /// Pieces handed to the kernel at once.
  private static let piecesMax = 64

  private let loop: EventLoop
  private weak var owner: (any TransportOwner)?
  private let name: String
  private var candidates: [ResolvedAddress] = []
  private var socket: Socket?
  private var isConnected = false
  private var isClosed = false
  private var input: FrameAssembler
  private var output: [ArraySlice<UInt8>] = []
  private(set) var unsentSize = 0

  init(
    _ address: SocketAddress, _ loop: EventLoop, _ arrays: ArrayPool, _ owner: any TransportOwner
  ) {
    self.loop = loop
    self.owner = owner
    input = FrameAssembler(arrays)
    name = address.description
    let transport = LoopOwned(self)
    let poster = loop.poster
    // The resolver blocks, perhaps for seconds.
    Thread.start("martlet-resolve") {
      let result = Result { () throws(SocketError) in try ResolvedAddress.resolve(address) }
      poster.post { transport.value.resolved(result) }
    }
  }

  private func resolved(_ result: Result<[ResolvedAddress], SocketError>) {
    guard !isClosed else { return }
    switch result {
    case .success(let addresses):
      candidates = addresses
      connectNext(nil)
    case .failure(let error): fail("\(error)")
    }
  }

  private func connectNext(_ lastError: SocketError?) {
    guard let address = candidates.first else {
      return fail(lastError.map { "\($0)" } ?? "\(name) has no address")
    }
    candidates.removeFirst()
    do throws(SocketError) {
      let socket = try Socket.connect(address, named: name)
      self.socket = socket
      loop.add(socket.descriptor, [.writable], self)
    } catch {
      connectNext(error)
    }
  }

  func ready(_ readiness: Readiness) {
    guard let socket, !isClosed else { return }
    if !isConnected {
      if let error = socket.connectError {
        loop.remove(socket.descriptor)
        self.socket = nil
        return connectNext(error)
      }
      guard readiness.contains(.writable) else { return }
      isConnected = true
      updateInterest(isBlocked: false)
      owner?.transportOpened()
      return
    }
    if readiness.contains(.writable) { flush() }
    if !readiness.isDisjoint(with: [.readable, .hangUp]) { receive(socket) }
  }

  private func receive(_ socket: Socket) {
    var budget = Self.readBytesMax
    while budget > 0, !isClosed {
      var room = 0
      let transfer = unsafe input.receive {
        room = $0.count
        return unsafe socket.receive(into: $0).counted
      }
      switch transfer ?? .wouldBlock {
      case .bytes(let count):
        // Less than there was room for is all: if more has come since, the loop says so.
        budget = count < room ? 0 : budget - count
        do throws(WireError) {
          while !isClosed, let frame = try input.next() { owner?.transportReceived(frame) }
        } catch {
          return fail("\(name) sent what is no response: \(error)")
        }
      case .wouldBlock: return
      case .closed: return fail("\(name) closed the connection")
      }
    }
  }

  func send(_ frame: [UInt8]) {
    guard !isClosed else { return }
    let wasEmpty = output.isEmpty
    output.append(frame[...])
    unsentSize += frame.count
    if wasEmpty { flush() }
  }

  private func flush() {
    guard let socket, isConnected else { return }
    while !output.isEmpty, !isClosed {
      let run = output.prefix(Self.piecesMax)
      // The slices stay alive in `run` while their addresses are used.
      let transfer = withExtendedLifetime(run) {
        let views = unsafe run.map { slice in
          unsafe slice.withUnsafeBytes { unsafe UnsafeRawBufferPointer(rebasing: $0[...]) }
        }
        return unsafe socket.send(views, more: false)
      }
      switch transfer {
      case .bytes(let count): advance(by: count)
      case .wouldBlock: return updateInterest(isBlocked: true)
      case .closed: return fail("\(name) closed the connection")
      }
    }
    updateInterest(isBlocked: false)
    owner?.transportSent()
  }

  private func advance(by count: Int) {
    unsentSize -= count
    var left = count
    var whole = 0
    while left > 0 {
      if left < output[whole].count {
        output[whole] = output[whole].dropFirst(left)
        break
      }
      left -= output[whole].count
      whole += 1
    }
    output.removeFirst(whole)
  }

  private func updateInterest(isBlocked: Bool) {
    guard let socket, !isClosed else { return }
    loop.change(socket.descriptor, isBlocked ? [.readable, .writable] : [.readable])
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    if let socket { loop.remove(socket.descriptor) }
    socket = nil
    output = []
    unsentSize = 0
  }

  private func fail(_ why: String) {
    close()
    owner?.transportClosed(ClientError(.disconnected, why))
  }
}

/// Frames to a broker in the same process.
final class LinkTransport: Transport {
  private let link: any BrokerLink
  private weak var owner: (any TransportOwner)?
  private var isClosed = false
  let unsentSize = 0

  init(_ link: any BrokerLink, _ loop: EventLoop, _ owner: any TransportOwner) {
    self.link = link
    self.owner = owner
    let transport = LoopOwned(self)
    let poster = loop.poster
    link.open(
      { frame in poster.post { transport.value.received(frame) } },
      { why in poster.post { transport.value.ended(why) } })
    // As over a socket, it is open only after its maker knows of it.
    poster.post { transport.value.opened() }
  }

  func send(_ frame: [UInt8]) {
    guard !isClosed else { return }
    link.send(Array(frame[4...]))
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    link.close()
  }

  private func opened() { if !isClosed { owner?.transportOpened() } }
  private func received(_ frame: [UInt8]) { if !isClosed { owner?.transportReceived(frame[...]) } }

  private func ended(_ why: String?) {
    guard !isClosed else { return }
    isClosed = true
    let why = why ?? "the broker in this process closed the connection"
    owner?.transportClosed(ClientError(.disconnected, why))
  }
}
