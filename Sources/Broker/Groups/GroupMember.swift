import KafkaWire

/// A request whose answer is not known yet.
struct HeldRequest: Equatable, Sendable {
  let token: ReplyToken
  let version: Int16

  init(_ source: RequestSource) {
    token = source.token
    version = source.version
  }
}

/// One consumer, worker or whatever else joined a group.
struct GroupMember: Sendable {
  let id: ExactString
  /// Static members have one (KIP-345): they keep their place when they come back.
  let instanceID: ExactString?
  let clientID: String
  let clientHost: String
  /// Counts up with each member that the group ever had: the order of joining.
  let serial: UInt64
  var sessionTimeoutMs: Int32
  var rebalanceTimeoutMs: Int32
  var protocols: [JoinGroupRequest.GroupProtocol]
  var assignment: ArraySlice<UInt8> = []

  /// Its JoinGroup, while the group prepares a rebalance.
  var heldJoin: HeldRequest?
  /// Its SyncGroup, until the leader's assignments are committed.
  var heldSync: HeldRequest?
  /// Never told its id: it cannot send heartbeats, so it is given up though it has a request held.
  var isNew = false
  /// In this generation, and has not asked for its assignment.
  var mustSync = false
  var session: DeadlineQueue<GroupDeadline>.Ticket?

  /// Whether a passed session deadline is no sign of death: who waits for us has nothing to send.
  var isExcused: Bool {
    !isNew && (heldJoin != nil || heldSync != nil)
  }

  func metadata(of name: ExactString?) -> ArraySlice<UInt8> {
    guard let name else { return [] }
    return protocols.first { ExactString($0.name) == name }?.metadata ?? []
  }

  func offersTheSame(_ other: [JoinGroupRequest.GroupProtocol]) -> Bool {
    protocols.count == other.count
      && zip(protocols, other).allSatisfy {
        ExactString($0.name) == ExactString($1.name) && $0.metadata == $1.metadata
      }
  }
}

/// The members of one group, found by id or by instance id, listed in the order of joining.
///
/// (1) `support[name]` is the number of members that offer the protocol.
/// (2) `heldJoinCount` and `mustSyncCount` count what the members say of themselves.
struct MemberTable: Sendable {
  private var members: [ExactString: GroupMember] = [:]
  private var staticIDs: [ExactString: ExactString] = [:]
  private var support: [ExactString: Int] = [:]
  private(set) var heldJoinCount = 0
  private(set) var mustSyncCount = 0

  var count: Int { members.count }
  var isEmpty: Bool { members.isEmpty }

  subscript(_ id: ExactString) -> GroupMember? { members[id] }

  func id(ofInstance instanceID: ExactString) -> ExactString? { staticIDs[instanceID] }

  var inOrder: [GroupMember] { members.values.sorted { $0.serial < $1.serial } }

  var rebalanceTimeoutMsMax: Int32 {
    members.values.reduce(0) { max($0, $1.rebalanceTimeoutMs) }
  }

  func isOfferedByAll(_ name: ExactString) -> Bool { support[name, default: 0] == members.count }

  mutating func insert(_ member: GroupMember) {
    precondition(members[member.id] == nil, "member \(member.id) is in the group already")
    count(member, by: 1)
    if let instanceID = member.instanceID { staticIDs[instanceID] = member.id }
    members[member.id] = member
  }

  mutating func remove(_ id: ExactString) -> GroupMember? {
    guard let member = members.removeValue(forKey: id) else { return nil }
    count(member, by: -1)
    if let instanceID = member.instanceID, staticIDs[instanceID] == id {
      staticIDs[instanceID] = nil
    }
    return member
  }

  /// Changes a member in place. Nothing happens, and nil comes back, where there is none.
  @discardableResult
  mutating func update<R>(_ id: ExactString, _ change: (inout GroupMember) -> R) -> R? {
    guard let index = members.index(forKey: id) else { return nil }
    let hadJoin = members.values[index].heldJoin != nil
    let hadToSync = members.values[index].mustSync
    let result = change(&members.values[index])
    heldJoinCount += (members.values[index].heldJoin != nil ? 1 : 0) - (hadJoin ? 1 : 0)
    mustSyncCount += (members.values[index].mustSync ? 1 : 0) - (hadToSync ? 1 : 0)
    return result
  }

  mutating func setProtocols(_ protocols: [JoinGroupRequest.GroupProtocol], of id: ExactString) {
    guard let old = members[id] else { return }
    countSupport(old.protocols, by: -1)
    members[id]?.protocols = protocols
    countSupport(protocols, by: 1)
  }

  /// Each member votes for the first of its protocols that all support; most votes win, and of
  /// several the one that the earliest member prefers. Nil where there is no common protocol.
  var electedProtocol: ExactString? {
    var votes: [ExactString: Int] = [:]
    var candidates: [ExactString] = []
    for member in inOrder {
      let names = member.protocols.lazy.map { ExactString($0.name) }
      guard let vote = names.first(where: isOfferedByAll) else { return nil }
      if candidates.isEmpty { candidates = names.filter(isOfferedByAll) }
      votes[vote, default: 0] += 1
    }
    let most = votes.values.max()
    return candidates.first { votes[$0] == most }
  }

  private mutating func count(_ member: GroupMember, by step: Int) {
    countSupport(member.protocols, by: step)
    if member.heldJoin != nil { heldJoinCount += step }
    if member.mustSync { mustSyncCount += step }
  }

  private mutating func countSupport(_ protocols: [JoinGroupRequest.GroupProtocol], by step: Int) {
    // A name given twice counts once.
    for name in Set(protocols.map { ExactString($0.name) }) {
      let sum = support[name, default: 0] + step
      support[name] = sum == 0 ? nil : sum
    }
  }
}
