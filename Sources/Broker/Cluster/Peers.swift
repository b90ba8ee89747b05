internal import Bytes
internal import Replication

/// A frame for another node.
package struct NodeFrame: Equatable, Sendable {
  package var to: Int32
  /// Not to wait behind bytes of records.
  package var isUrgent: Bool
  package var bytes: [UInt8]
}

extension Message {
  /// Those of records and state in it, to which some tens are added.
  fileprivate var bytes: Int {
    switch body {
    case .append(let request): request.entries.reduce(0) { $0 + $1.bytes.count }
    case .reset(let request): request.state.count
    default: 0
    }
  }
}

/// The other nodes as this one knows them, and what it has for them.
struct Peers {
  struct Known {
    var hello: PeerHello
    var standing: Node.MetadataStanding {
      hello.state.first.flatMap(Node.MetadataStanding.init) ?? .whole
    }
  }

  /// What is on its way to one of them, in this turn.
  private struct Outbox {
    var urgent: [(GroupID, Message)] = []
    var bulk: [(GroupID, Message)] = []
  }

  /// A heartbeat is some 70 bytes, an urgent frame at most a megabyte.
  private static let messagesMax = 4096
  /// A part ends with the message that reaches it, which is at most about as much as that.
  private static let partBytesMax = 16 << 20

  /// Ascending.
  let nodes: [Int32]
  private(set) var connected: Set<Int32> = []
  /// Who those are that are connected.
  private(set) var hellos: [Int32: Known] = [:]
  private var outboxes: [Int32: Outbox] = [:]
  private var frames: [NodeFrame] = []

  init(nodes: [Int32]) { self.nodes = nodes.sorted() }

  mutating func found(_ hello: PeerHello) {
    connected.insert(hello.node)
    hellos[hello.node] = Known(hello: hello)
  }

  mutating func lost(_ peer: Int32) {
    connected.remove(peer)
    hellos[peer] = nil
    outboxes[peer] = nil
    frames.removeAll { $0.to == peer }
  }

  /// It is connected, and takes no records.
  func isFull(_ node: Int32) -> Bool { hellos[node]?.hello.isFull ?? false }

  /// To somebody who is not connected: it will ask again, or be asked.
  mutating func send(_ message: Message, of group: GroupID) {
    let peer = message.to.rawValue
    guard connected.contains(peer) else { return }
    switch message.body {
    case .append, .appended, .reset: outboxes[peer, default: Outbox()].bulk.append((group, message))
    case .voteRequest, .voteResponse, .heartbeat, .heartbeatAnswer, .takeOver, .resigned:
      outboxes[peer, default: Outbox()].urgent.append((group, message))
    }
  }

  mutating func send(_ message: PeerMessage, to peer: Int32) {
    guard connected.contains(peer) else { return }
    frames.append(NodeFrame(to: peer, isUrgent: false, bytes: message.encoded()))
  }

  /// Messages that together are no more than a frame may be.
  private static func parts(_ messages: [(GroupID, Message)]) -> [[(GroupID, Message)]] {
    guard !messages.isEmpty else { return [] }
    if messages.count <= messagesMax, messages.reduce(0, { $0 + $1.1.bytes }) < partBytesMax {
      return [messages]
    }
    var parts: [[(GroupID, Message)]] = []
    var rest = messages[...]
    while !rest.isEmpty {
      var bytes = 0
      let part = rest.prefix(messagesMax).prefix { _, message in
        defer { bytes += message.bytes }
        return bytes < partBytesMax
      }
      parts.append(Array(part))
      rest = rest.dropFirst(part.count)
    }
    return parts
  }

  /// To somebody who is not counted as connected.
  mutating func tell(_ message: PeerMessage, to peer: Int32) {
    frames.append(NodeFrame(to: peer, isUrgent: false, bytes: message.encoded()))
  }

  mutating func takeFrames(journalGroup: UInt64) -> [NodeFrame] {
    for peer in nodes {
      guard let outbox = outboxes.removeValue(forKey: peer) else { continue }
      for part in Self.parts(outbox.urgent) {
        let bytes = PeerMessage.replication(part, journalGroup: journalGroup).encoded()
        frames.append(NodeFrame(to: peer, isUrgent: true, bytes: bytes))
      }
      for part in Self.parts(outbox.bulk) {
        let bytes = PeerMessage.replication(part, journalGroup: journalGroup).encoded()
        frames.append(NodeFrame(to: peer, isUrgent: false, bytes: bytes))
      }
    }
    defer { frames = [] }
    return frames
  }
}

extension PeerHello {
  /// That it has come back with less than it had, and knows it; 0 if not.
  var forgottenGroup: UInt64 {
    var fields = MetadataFieldReader(state.dropFirst())
    return (try? fields.uint64()) ?? 0
  }

  /// Its disk has no room for records: behind the group.
  var isFull: Bool { state.dropFirst(9).first == 1 }
}
