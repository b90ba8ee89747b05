import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Records
import Simulation

/// Nodes of a cluster on virtual disks, with a network in memory. Everything happens in the order
/// in which it was asked for; time goes on when the test says so.
final class ClusterHarness {
  final class Member {
    let id: Int32
    var disk = VirtualDisk()
    var store: LogStore?
    var node: Node?
    /// Those it has a connection to.
    var connected: Set<Int32> = []
    var answers: [RequestOrigin: NodeAnswer] = [:]
    var notices: [String] = []
    var starts = 0
    /// What it said of itself last.
    var said: PeerHello?

    init(id: Int32) { self.id = id }

    /// Where its log of the metadata begins.
    var metadataStart: Offset? {
      guard let store else { return nil }
      let log = store.logIDs.last { (try? store.name(of: $0))?.hasPrefix("@metadata") ?? false }
      return log.flatMap { (try? store.bounds(of: $0))?.start }
    }
  }

  let members: [Member]
  private(set) var steady: Int64 = 5000
  var time: NodeTime { NodeTime(steady: steady, wall: steady + 1_700_000_000_000) }
  private var sequence: UInt64 = 0
  /// Pairs that do not reach each other, the smaller first.
  private var cuts: Set<[Int32]> = []
  private var held: Set<[Int32]> = []
  /// What does not arrive, and nobody is told.
  var loses: (NodeFrame) -> Bool = { _ in false }
  /// Nodes whose disks do nothing for now.
  var stalled: Set<Int32> = []
  private let settings: [(String, String)]
  private let planted: PlantedNodeMistakes
  private let storeOptions: LogStoreOptions
  private let change: (inout NodeOptions) -> Void

  init(
    count: Int = 3, settings: [(String, String)] = [], planted: PlantedNodeMistakes = [],
    storeOptions: LogStoreOptions = NodeHarness.storeOptions,
    change: @escaping (inout NodeOptions) -> Void = { _ in }
  ) throws {
    self.planted = planted
    self.storeOptions = storeOptions
    self.change = change
    members = (1...count).map { Member(id: Int32($0)) }
    self.settings =
      settings + [
        ("offsets.topic.num.partitions", "3"), ("group.initial.rebalance.delay.ms", "0"),
        ("default.replication.factor", "3"), ("offsets.topic.replication.factor", "3"),
      ]
    for member in members { try start(member.id) }
    wait(500)
  }

  subscript(_ id: Int32) -> Member { members[Int(id) - 1] }

  func node(_ id: Int32) throws -> Node {
    guard let node = self[id].node else { throw HarnessError.isDown }
    return node
  }

  enum HarnessError: Error {
    case isDown, noFrame
    case noAnswer(String)
  }

  /// How all nodes stand, for failures.
  var text: String {
    members.map { member in
      (member.node?.clusterText ?? "node \(member.id): down")
        + member.notices.map { "\n  said: \($0)" }.joined()
    }.joined(separator: "\n")
  }

  // MARK: Nodes

  func start(_ id: Int32) throws {
    let member = self[id]
    member.starts += 1
    var options = NodeOptions()
    options.id = id
    options.port = 9000 + UInt16(id)
    options.host = "here"
    options.cluster.planted = planted
    options.cluster.boot = UInt64(member.starts)
    options.cluster.members = members.map {
      ClusterMember(
        id: $0.id, client: SocketAddress(host: "here", port: 9000 + UInt16($0.id)),
        peer: SocketAddress(host: "here", port: 19000 + UInt16($0.id)))
    }
    options.apply(settings)
    change(&options)
    let store = try LogStore.open(
      member.disk, options: storeOptions,
      newID: UInt64(id) * 1000 + UInt64(member.starts), now: time.wall)
    member.store = store
    member.node = try Node(
      store: store, options: options, file: settings,
      random: SeededGenerator(seed: UInt64(id) * 1000 + UInt64(member.starts)), now: time)
    connectAll()
    settle()
  }

  /// The process dies, the machine does not.
  func kill(_ id: Int32) { end(id) { $0.afterKill { _ in true } } }

  /// The others have noticed, and not yet said anything to each other.
  func killUnsettled(_ id: Int32) { end(id, settles: false) { $0.afterKill { _ in true } } }

  func powerCut(_ id: Int32) { end(id) { $0.afterPowerCut { _ in false } } }

  private func end(
    _ id: Int32, settles: Bool = true, _ disk: (VirtualDisk) -> VirtualDisk
  ) {
    let member = self[id]
    member.node = nil
    member.store = nil
    member.disk = disk(member.disk)
    member.connected = []
    for other in members where other.connected.remove(id) != nil {
      other.node?.lost(id, now: time)
    }
    if settles { settle() }
  }

  func cut(_ a: Int32, _ b: Int32) {
    cuts.insert([min(a, b), max(a, b)])
    for (one, other) in [(a, b), (b, a)] where self[one].connected.remove(other) != nil {
      self[one].node?.lost(other, now: time)
    }
    settle()
  }

  /// What they say to each other is lost, and neither is told.
  func hold(_ a: Int32, _ b: Int32) { held.insert([min(a, b), max(a, b)]) }

  func heal() {
    cuts = []
    held = []
    connectAll()
    settle()
  }

  private func connectAll() {
    for member in members where member.node != nil {
      for other in members where other.id != member.id && other.node != nil {
        guard !cuts.contains([min(member.id, other.id), max(member.id, other.id)]),
          member.connected.insert(other.id).inserted, let hello = other.node?.peerHello
        else { continue }
        member.node?.connected(hello, now: time)
      }
    }
  }

  // MARK: Driving

  func settle() {
    while true {
      var isBusy = false
      for member in members {
        guard let node = member.node else { continue }
        _ = node.turn(now: time)
        for frame in node.takePeerFrames() where member.connected.contains(frame.to) {
          guard !held.contains([min(member.id, frame.to), max(member.id, frame.to)]) else {
            continue
          }
          if loses(frame) { continue }
          self[frame.to].node?.receive(frame.bytes[...], from: member.id, now: time)
          isBusy = true
        }
        let hello = node.peerHello
        if hello != member.said {
          member.said = hello
          for other in member.connected.sorted() { self[other].node?.connected(hello, now: time) }
          isBusy = true
        }
        for answer in node.takeAnswers() { member.answers[answer.origin] = answer }
        member.notices += node.takeNotices()
        while !member.disk.inFlight.isEmpty, !stalled.contains(member.id) {
          node.complete(member.disk.step())
          isBusy = true
        }
      }
      if !isBusy { return }
    }
  }

  func wait(_ milliseconds: Int64) {
    let end = steady + milliseconds
    while steady < end {
      steady = min(end, steady + 10)
      settle()
    }
  }

  // MARK: Requests

  func send<R: WireRequest>(_ request: R, version: Int16, to id: Int32) throws -> RequestOrigin {
    sequence += 1
    let origin = RequestOrigin(
      connection: ConnectionID(1), sequence: sequence, clientHost: "here")
    let frame = try Frame.request(
      request, version: version, correlationId: 5, clientId: "test")
    try node(id).handle(frame.bytes[4...], from: origin, now: time)
    settle()
    return origin
  }

  func response<R: WireRequest>(
    to origin: RequestOrigin, of id: Int32, _ type: R.Type, version: Int16
  ) throws -> R.Response? {
    guard let answer = self[id].answers[origin] else { return nil }
    guard case .frame(let frame, let slices) = answer.content else { throw HarnessError.noFrame }
    var bytes: [UInt8] = []
    var left = slices[...]
    for segment in frame.segments {
      switch segment {
      case .bytes(let part): bytes += part
      case .external(let size) where size > 0:
        guard let slice = left.popFirst(), let store = self[id].store else {
          throw HarnessError.noFrame
        }
        bytes += try store.bytes(of: slice)
      case .external: break
      }
    }
    let response = try ResponseFrame(bytes[4...], api: R.api, version: version)
    return try R.Response.decode(response.body, version: version)
  }

  /// Waits for the answer, in the cluster's time.
  func call<R: WireRequest>(
    _ request: R, version: Int16, to id: Int32, milliseconds: Int64 = 2000
  ) throws -> R.Response {
    let origin = try send(request, version: version, to: id)
    let end = steady + milliseconds
    while true {
      if let response = try response(to: origin, of: id, R.self, version: version) {
        return response
      }
      guard steady < end else { throw HarnessError.noAnswer(text) }
      wait(10)
    }
  }

  // MARK: What tests ask for again and again

  func createTopic(_ name: String, partitions: Int32 = 1, at id: Int32 = 1) throws -> ErrorCode {
    var request = CreateTopicsRequest()
    var topic = CreateTopicsRequest.Topic()
    topic.name = name
    topic.numPartitions = partitions
    topic.replicationFactor = Int16(members.count)
    request.topics = [topic]
    request.timeoutMs = 1000
    let code = try call(request, version: 5, to: id).topics[0].errorCode
    wait(100)
    return code
  }

  /// Who says that it leads, of those that are up.
  func leader(_ topic: String, _ partition: Int32 = 0) throws -> Int32? {
    for member in members where member.node != nil {
      var request = MetadataRequest()
      var asked = MetadataRequest.Topic()
      asked.name = topic
      request.topics = [asked]
      let response = try call(request, version: 9, to: member.id)
      let found = response.topics.first?.partitions.first { $0.partitionIndex == partition }
      if let found, found.leaderId >= 0 { return found.leaderId }
    }
    return nil
  }

  func produce(_ topic: String, _ values: [String], partition: Int32 = 0, to id: Int32? = nil)
    throws -> Int64
  {
    guard let leader = try id ?? leader(topic, partition) else {
      throw ErrorCode.leaderNotAvailable
    }
    let response = try call(
      Requests.produce(topic, values, partition: partition), version: 9, to: leader)
    let part = response.responses[0].partitionResponses[0]
    guard part.errorCode == .none else { throw part.errorCode }
    return part.baseOffset
  }

  /// All values that consumers are shown, at the node.
  func values(_ topic: String, partition: Int32 = 0, at id: Int32) throws -> [String] {
    var values: [String] = []
    var next: Int64 = 0
    while true {
      let response = try call(
        Requests.fetch(topic, from: next, partition: partition), version: 11, to: id)
      let part = response.responses[0].partitions[0]
      guard part.errorCode == .none else { throw part.errorCode }
      guard case .bytes(let bytes)? = part.records, !bytes.isEmpty else { return values }
      var batches = RecordBatches(bytes)
      var decompressor = Decompressor()
      while let batch = try batches.next() {
        for record in try batch.records(&decompressor) {
          values.append(String(decoding: record.value ?? [], as: UTF8.self))
        }
        next = batch.header.nextOffset.rawValue
      }
    }
  }
}
