import Broker
import Bytes
import Platform

/// A node's half of the network between nodes on a thread of its own, and what it was told.
final class PeerNode: Sendable {
  struct Told {
    var network: Unsent?
    var failure: String?
    var connected: [PeerHello] = []
    var lost: [(node: Int32, why: String)] = []
    var frames: [(node: Int32, bytes: [UInt8])] = []
    var lines: [String] = []
    var stalls: [Bool] = []
    var metrics: [PeerMetrics] = []
    /// `connected` more often than `lost`, of each node.
    var standing: Set<Int32> = []
    var hasEnded = false
  }

  /// Used on the node's thread only.
  final class Unsent: @unchecked Sendable {
    let network: PeerNetwork
    let loop: EventLoop
    init(_ network: PeerNetwork, _ loop: EventLoop) {
      self.network = network
      self.loop = loop
    }
  }

  let told = Condition(Told())
  let id: Int32
  let port: UInt16
  private let unsent: Unsent
  private let poster: Mailbox

  static let patience: Int64 = 20_000

  /// `peers` are the nodes and the ports they listen on, at `host`.
  init(
    _ hello: PeerHello, on wanted: UInt16 = 0, peers: [(Int32, UInt16)],
    host: String = "127.0.0.1", options: PeerOptions = .patient
  ) throws {
    id = hello.node
    let told = told
    Thread.start("peer-node") {
      do {
        let loop = try EventLoop()
        let addresses = peers.map {
          PeerAddress(node: $0.0, address: SocketAddress(host: host, port: $0.1))
        }
        let network = try PeerNetwork(
          loop: loop, listen: SocketAddress(host: "127.0.0.1", port: wanted), peers: addresses,
          hello: hello, arrays: ArrayPool(bytesMax: 16 << 20), options: options,
          log: { line in
            told.withLock { $0.lines.append(line) }
            told.broadcast()
          })
        Self.record(network, in: told)
        told.withLock { $0.network = Unsent(network, loop) }
        told.broadcast()
        loop.run()
      } catch {
        told.withLock { $0.failure = "\(error)" }
      }
      told.withLock { $0.hasEnded = true }
      told.broadcast()
    }
    let unsent = told.wait(until: { $0.network != nil || $0.hasEnded }) { $0.network }
    guard let unsent else { throw PeerNodeError(told.withLock { $0.failure ?? "" }) }
    self.unsent = unsent
    port = unsent.network.port
    poster = unsent.loop.poster
  }

  private static func record(_ network: PeerNetwork, in told: Condition<Told>) {
    network.receive = { node, bytes in
      told.withLock { $0.frames.append((node, Array(bytes))) }
      told.broadcast()
    }
    network.connected = { hello in
      told.withLock {
        $0.connected.append(hello)
        $0.standing.insert(hello.node)
      }
      told.broadcast()
    }
    network.lost = { node, why in
      told.withLock {
        $0.lost.append((node, why))
        precondition($0.standing.remove(node) != nil, "lost without connected")
      }
      told.broadcast()
    }
    network.ownStalled = { isStalled in
      told.withLock { $0.stalls.append(isStalled) }
      told.broadcast()
    }
  }

  /// Runs something on the node's thread.
  func post(_ body: @escaping @Sendable (PeerNetwork) -> Void) {
    poster.post { [unsent] in body(unsent.network) }
  }

  /// As `post`, and returns when it has run.
  func perform<R: Sendable>(_ body: @escaping @Sendable (PeerNetwork) -> R) -> R? {
    let result = Condition<R?>(nil)
    post { network in
      let value = body(network)
      result.withLock { $0 = value }
      result.broadcast()
    }
    return result.wait(until: { $0 != nil }, milliseconds: Self.patience) { $0 }
  }

  func send(_ frame: [UInt8], to node: Int32, _ channel: PeerChannel = .bulk) {
    post { $0.send(frame, to: node, channel) }
  }

  /// Waits until it was told so. False if that did not come.
  func sees(_ what: (Told) -> Bool) -> Bool {
    told.wait(until: what, milliseconds: Self.patience) { what($0) }
  }

  func isConnected(to node: Int32) -> Bool { sees { $0.standing.contains(node) } }

  func isDisconnected(from node: Int32) -> Bool { sees { !$0.standing.contains(node) } }

  /// Stops the network and its thread.
  func stop() {
    poster.post { [unsent] in
      unsent.network.stop()
      unsent.loop.stop()
    }
    told.wait(until: { $0.hasEnded }, milliseconds: Self.patience) { _ in }
  }
}

struct PeerNodeError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

extension PeerOptions {
  /// For tests that are not about time: a busy machine takes nobody for lost.
  static var patient: PeerOptions {
    var options = PeerOptions()
    options.silenceMilliseconds = 60_000
    options.stallMilliseconds = 60_000
    return options
  }

  /// Notices who stands still, however long it is silent.
  static var watchful: PeerOptions {
    var options = PeerOptions()
    options.silenceMilliseconds = 60_000
    return options
  }
}

extension PeerHello {
  static func test(_ node: Int32, boot: UInt64 = 1, cluster: UInt64 = 7) -> PeerHello {
    PeerHello(
      clusterHigh: cluster, clusterLow: cluster, node: node, incarnation: 100 + UInt64(node),
      boot: boot, journalGroup: 5, clientHost: "node\(node)", clientPort: 9092,
      state: [1, 2, 3, UInt8(node)])
  }
}
