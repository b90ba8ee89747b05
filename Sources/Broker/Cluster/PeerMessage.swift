internal import Bytes
internal import KafkaWire
package import Replication

// What nodes say to each other besides hello and heartbeats.
//
//   frame      u8 kind, fields
//
//   kind                   fields
//   1  replication         a `ReplicationFrame`: messages of many groups
//   2  forward             u64 token, string client's host, request frame
//   3  forwarded           u64 token, varlong offset, response frame without its size
//   4  not the controller  u64 token
//   5  leaders             a count of (u64, u64, varint: group; varint leader; varint epoch)
//   6  ask what is committed in group 0    u64 token
//   7  committed           u64 token, varlong offset (-1: this node cannot tell)
//   8  internal topic      string name: is to be made, unless it is there
//   9  reports             a count of (group, varint leader, varint epoch, varlong version,
//                          u8 bits, replicas caught up, replicas in sync): to the controller
//   10 transfer            group, varint node: who leads the group is to hand over
//   11 damaged             group, varlong version: the sender's replica is
//   12 invitation          varlong version: the receiver is a learner of group 0 since then
//   13 ask fenced          u64 token, varlong offset: is the metadata applied below it?
//   14 fenced              u64 token, a count of varint node: yes, and who may lead what
//
// Integers and strings are as in the metadata log.

/// A message between nodes.
enum PeerMessage: Equatable {
  /// What is said in it is backed by the sender's journal up to this group.
  case replication([(GroupID, Message)], journalGroup: UInt64)
  /// A client's request, for the leader of the metadata.
  case forward(token: UInt64, clientHost: String, ArraySlice<UInt8>)
  /// The answer to it, which is to be given once the metadata is applied below the offset.
  case forwarded(token: UInt64, applied: Offset, ArraySlice<UInt8>)
  case notController(token: UInt64)
  case leaders([KnownLeader])
  case askCommitted(token: UInt64)
  case committed(token: UInt64, Offset?)
  case internalTopic(String)
  /// How groups are that the sender leads.
  case reports([GroupReport])
  case transfer(GroupID, to: Int32)
  case damaged(GroupID, version: Int64)
  case invitation(version: Int64)
  /// Is to be answered once the receiver has applied the metadata below the offset.
  case askFenced(token: UInt64, applied: Offset)
  /// It has; as far as it knows, these may lead groups that it is of.
  case fenced(token: UInt64, mayLead: [Int32])
  /// The receiver has come back with less than this group of its journal, which it had.
  case rolledBack(UInt64)
  /// The group's log begins there, or later, on the leader's disk; if it does on the receiver's,
  /// too, it says so.
  case askStart(GroupID, Offset)
  case startIsKept(GroupID, Offset)

  static func == (a: PeerMessage, b: PeerMessage) -> Bool { a.encoded() == b.encoded() }
}

/// Who leads a group, as somebody knows it.
struct KnownLeader: Equatable {
  var group: GroupID
  var leader: Int32
  var epoch: LeaderEpoch
}

extension PeerMessage {
  func encoded() -> [UInt8] {
    var fields = MetadataFields()
    switch self {
    case .replication(let messages, let journalGroup):
      fields.put(kind: Self.replicationKind)
      fields.put(fixed: journalGroup)
      return ReplicationFrame.encode(messages, behind: fields.bytes)
    case .forward(let token, let host, let frame):
      fields.put(kind: 2)
      fields.put(fixed: token)
      fields.put(host)
      fields.put(Array(frame))
    case .forwarded(let token, let applied, let frame):
      fields.put(kind: 3)
      fields.put(fixed: token)
      fields.put(applied.rawValue)
      fields.put(Array(frame))
    case .notController(let token):
      fields.put(kind: 4)
      fields.put(fixed: token)
    case .leaders(let leaders):
      fields.put(kind: 5)
      fields.put(count: leaders.count)
      for known in leaders {
        fields.put(known.group)
        fields.put(known.leader)
        fields.put(known.epoch.rawValue)
      }
    case .askCommitted(let token):
      fields.put(kind: 6)
      fields.put(fixed: token)
    case .committed(let token, let offset):
      fields.put(kind: 7)
      fields.put(fixed: token)
      fields.put(offset?.rawValue ?? -1)
    case .internalTopic(let name):
      fields.put(kind: 8)
      fields.put(name)
    case .reports(let reports):
      fields.put(kind: 9)
      fields.put(count: reports.count)
      for report in reports { fields.put(report) }
    case .transfer(let group, let node):
      fields.put(kind: 10)
      fields.put(group)
      fields.put(node)
    case .damaged(let group, let version):
      fields.put(kind: 11)
      fields.put(group)
      fields.put(version)
    case .invitation(let version):
      fields.put(kind: 12)
      fields.put(version)
    case .askFenced(let token, let applied):
      fields.put(kind: 13)
      fields.put(fixed: token)
      fields.put(applied.rawValue)
    case .fenced(let token, let mayLead):
      fields.put(kind: 14)
      fields.put(fixed: token)
      fields.put(count: mayLead.count)
      for node in mayLead { fields.put(node) }
    case .rolledBack(let group):
      fields.put(kind: 15)
      fields.put(fixed: group)
    case .askStart(let group, let offset):
      fields.put(kind: 16)
      fields.put(group)
      fields.put(offset.rawValue)
    case .startIsKept(let group, let offset):
      fields.put(kind: 17)
      fields.put(group)
      fields.put(offset.rawValue)
    }
    return fields.bytes
  }

  fileprivate static let replicationKind: UInt8 = 1

  init(decoding bytes: ArraySlice<UInt8>) throws(MetadataError) {
    guard let kind = bytes.first else { throw .malformed(.truncated(at: 0, needed: 1)) }
    var fields = MetadataFieldReader(bytes.dropFirst())
    switch kind {
    case Self.replicationKind:
      let journalGroup = try fields.uint64()
      do throws(ByteError) {
        self = .replication(
          try ReplicationFrame.decode(bytes.dropFirst(9)), journalGroup: journalGroup)
      } catch {
        throw .malformed(error)
      }
    case 2:
      let token = try fields.uint64()
      let host = String(decoding: try fields.text(), as: UTF8.self)
      self = .forward(
        token: token, clientHost: host, try fields.slice(try fields.count(ofSize: 1)))
    case 3:
      let token = try fields.uint64()
      let applied = Offset(try fields.varlong())
      self = .forwarded(
        token: token, applied: applied, try fields.slice(try fields.count(ofSize: 1)))
    case 4: self = .notController(token: try fields.uint64())
    case 5:
      var leaders: [KnownLeader] = []
      for _ in 0..<(try fields.count(ofSize: 19)) {
        let group = try fields.groupID()
        let leader = try fields.varint(0 ... .max, "leader")
        let epoch = LeaderEpoch(try fields.varint(0 ... .max, "epoch"))
        leaders.append(KnownLeader(group: group, leader: leader, epoch: epoch))
      }
      self = .leaders(leaders)
    case 6: self = .askCommitted(token: try fields.uint64())
    case 7:
      let token = try fields.uint64()
      let offset = try fields.varlong()
      self = .committed(token: token, offset < 0 ? nil : Offset(offset))
    case 8: self = .internalTopic(String(decoding: try fields.text(), as: UTF8.self))
    case 9:
      var reports: [GroupReport] = []
      for _ in 0..<(try fields.count(ofSize: 23)) { reports.append(try fields.report()) }
      self = .reports(reports)
    case 10:
      let group = try fields.groupID()
      self = .transfer(group, to: try fields.varint(0 ... .max, "node"))
    case 11:
      let group = try fields.groupID()
      self = .damaged(group, version: try fields.varlong())
    case 12: self = .invitation(version: try fields.varlong())
    case 13: self = .askFenced(token: try fields.uint64(), applied: Offset(try fields.varlong()))
    case 14:
      let token = try fields.uint64()
      var mayLead: [Int32] = []
      for _ in 0..<(try fields.count(ofSize: 1)) {
        mayLead.append(try fields.varint(0 ... .max, "node"))
      }
      self = .fenced(token: token, mayLead: mayLead)
    case 15: self = .rolledBack(try fields.uint64())
    case 16:
      let group = try fields.groupID()
      self = .askStart(group, Offset(try fields.varlong()))
    case 17:
      let group = try fields.groupID()
      self = .startIsKept(group, Offset(try fields.varlong()))
    default: throw .unknownRecord(type: kind, version: 0)
    }
  }
}

extension NodeFrame {
  /// Messages of groups are in it, and nothing else.
  package var isReplication: Bool { bytes.first == PeerMessage.replicationKind }

  /// Those messages; nil if it has something else. Throws if it cannot be read.
  package func groupMessages() throws -> [(GroupID, Message)]? {
    guard isReplication,
      case .replication(let messages, _) = try PeerMessage(decoding: bytes[...])
    else { return nil }
    return messages
  }
}

extension MetadataFields {
  fileprivate mutating func put(kind: UInt8) { put(byte: kind) }

  fileprivate mutating func put(_ group: GroupID) {
    put(fixed: group.high)
    put(fixed: group.low)
    put(group.partition)
  }

  fileprivate mutating func put(_ report: GroupReport) {
    put(GroupID(report.group))
    put(report.leader)
    put(report.epoch)
    put(report.version)
    put(
      byte: (report.hasCommittedUnderVersion ? 1 : 0) | (report.isAdoptedByMajority ? 2 : 0))
    put(report.caughtUp)
    put(report.inSync)
  }
}

extension MetadataFieldReader {
  fileprivate mutating func report() throws(MetadataError) -> GroupReport {
    let group = try groupID()
    let leader = try varint(0 ... .max, "leader")
    let epoch = try varint(0 ... .max, "epoch")
    let version = try varlong()
    let bits = try uint8()
    return GroupReport(
      group: GroupKey(group), leader: leader, epoch: epoch, version: version,
      hasCommittedUnderVersion: bits & 1 != 0, isAdoptedByMajority: bits & 2 != 0,
      caughtUp: try replicas(), inSync: try replicas())
  }

  fileprivate mutating func groupID() throws(MetadataError) -> GroupID {
    GroupID(
      high: try uint64(), low: try uint64(), partition: try varint(0 ... .max, "partition"))
  }
}
