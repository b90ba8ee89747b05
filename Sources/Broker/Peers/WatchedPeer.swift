internal import Platform

/// One other node, as the liveness thread sees it.
final class WatchedPeer {
  let node: Int32
  let address: SocketAddress
  var pair: PeerPair
  /// How it is reached, if this side connects.
  var route: PeerRoute
  /// The halves of the pair's session. The bulk one is the loop's once the session stands.
  var bulk: PeerConnection?
  var urgent: PeerConnection?
  /// Until when connections that were begun must have come about.
  var connectDeadline: Int64?
  // While the session stands:
  var serial: UInt64 = 0
  var hello: PeerHello?
  var liveness: PeerLiveness?
  var verdict = PeerLiveness.Verdict.fine
  /// Which of this node's words about itself it was told, the older of two.
  var saidRevision = Int.max
  /// Something came since the last turn.
  var hasSpoken = false
  /// Of connections that are closed, and of heartbeats.
  private var total: PeerMetrics

  init(_ address: PeerAddress, _ pair: PeerPair) {
    node = address.node
    self.address = address.address
    self.pair = pair
    route = PeerRoute(address.address)
    total = PeerMetrics(node: address.node)
  }

  var deadline: Int64? {
    guard let connectDeadline else { return pair.deadline }
    return min(connectDeadline, pair.deadline ?? connectDeadline)
  }

  func channel(of connection: PeerConnection) -> PeerChannel? {
    if connection === bulk { return .bulk }
    return connection === urgent ? .urgent : nil
  }

  func put(_ connection: PeerConnection, _ channel: PeerChannel) {
    switch channel {
    case .bulk: bulk = connection
    case .urgent: urgent = connection
    }
  }

  func close() {
    if let urgent { total.add(urgent) }
    bulk?.close()
    urgent?.close()
    bulk = nil
    urgent = nil
    connectDeadline = nil
    hello = nil
    saidRevision = .max
    liveness = nil
  }

  var figures: PeerMetrics {
    var figures = total
    if let urgent { figures.add(urgent) }
    figures.queueBytes = urgent?.output.size ?? 0
    return figures
  }

  func measured(roundTrip: UInt64) {
    total.roundTripNanoseconds = roundTrip
    let average = total.roundTripAverageNanoseconds
    total.roundTripAverageNanoseconds =
      average == 0 ? roundTrip : average - average / 8 + roundTrip / 8
  }
}

extension PeerMetrics {
  /// What went over one connection.
  mutating func add(_ connection: PeerConnection) {
    bytesIn += connection.figures.bytesIn
    framesIn += connection.figures.framesIn
    bytesOut += connection.output.bytesSent
    framesOut += connection.output.framesAdded
  }
}

/// The addresses that a peer's name stands for, one after another.
struct PeerRoute {
  /// A name that did not lead to the peer is looked up again, not more often than that.
  static let lookUpMilliseconds: Int64 = 2000

  private let name: SocketAddress
  private let isName: Bool
  private var addresses: [ResolvedAddress]
  private var next = 0
  private var isLookingUp = false
  private var foundAt: Int64?

  init(_ name: SocketAddress) {
    self.name = name
    let address = ResolvedAddress.numeric(name)
    addresses = address.map { [$0] } ?? []
    isName = address == nil
  }

  /// The next address to try, if one is known, and whether the name is to be looked up.
  mutating func take(now: Int64) -> (ResolvedAddress?, looksUp: Bool) {
    let isOld = foundAt.map { now - $0 >= Self.lookUpMilliseconds } ?? true
    let looksUp = isName && !isLookingUp && isOld
    if looksUp { isLookingUp = true }
    guard !addresses.isEmpty else { return (nil, looksUp) }
    next = (next + 1) % addresses.count
    return (addresses[next], looksUp)
  }

  mutating func found(_ found: [ResolvedAddress], at now: Int64) {
    isLookingUp = false
    foundAt = now
    if !found.isEmpty { addresses = found }
  }
}
