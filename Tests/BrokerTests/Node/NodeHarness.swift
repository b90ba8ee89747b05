import Broker
import Bytes
import KafkaWire
import LogStore
import Platform
import Records
import Simulation

/// A node on a virtual disk, whose time and whose disk go on when the test says so.
final class NodeHarness {
  let disk: VirtualDisk
  let store: LogStore
  let node: Node
  /// By the wall clock.
  var now: Int64 { steady + clockStep }
  /// By the steady clock, which begins somewhere else in each process.
  private(set) var steady: Int64 = 5000
  /// How far the wall clock is ahead of it. Change it to set the clock.
  var clockStep: Int64
  var time: NodeTime { NodeTime(steady: steady, wall: now) }
  private var sequences: [UInt64: UInt64] = [:]
  private var answers: [RequestOrigin: NodeAnswer] = [:]
  private(set) var notices: [String] = []
  /// Operations of the disk that are not done yet although the node waits.
  var holdsBack: (DiskOperation) -> Bool = { _ in false }

  static var storeOptions: LogStoreOptions {
    var options = LogStoreOptions()
    options.journal.fileBytes = 512 << 10
    options.journal.groupBytesMax = 64 << 10
    options.freeSpaceMin = 0
    options.reserveBytes = 4096
    return options
  }

  init(
    _ disk: VirtualDisk = VirtualDisk(), settings: [(String, String)] = [],
    now: Int64 = 1_700_000_100_000,
    storeOptions: LogStoreOptions = storeOptions,
    change: (inout NodeOptions) -> Void = { _ in }
  ) throws {
    self.disk = disk
    clockStep = now - steady
    var options = NodeOptions()
    let settings =
      settings + [
        ("offsets.topic.num.partitions", "1"), ("group.initial.rebalance.delay.ms", "0"),
      ]
    options.apply(settings)
    change(&options)
    store = try LogStore.open(disk, options: storeOptions, newID: 0xfeed, now: now)
    node = try Node(
      store: store, options: options, file: settings,
      random: SeededGenerator(seed: 7), now: NodeTime(steady: 5000, wall: now))
    settle()
  }

  // MARK: Requests

  /// Sends a request without waiting. The pool, if any, finds out when nobody has its bytes any
  /// more.
  @discardableResult
  func send<R: WireRequest>(
    _ request: R, version: Int16, connection: UInt64 = 1, from pool: ArrayPool? = nil
  ) throws -> RequestOrigin {
    let sequence = sequences[connection, default: 0]
    sequences[connection] = sequence + 1
    let origin = RequestOrigin(
      connection: ConnectionID(connection), sequence: sequence, clientHost: "here")
    let frame = try Frame.request(
      request, version: version, correlationId: 5, clientId: "test")
    let bytes = frame.bytes
    pool?.lend(bytes)
    node.handle(bytes[4...], from: origin, now: time)
    turn()
    return origin
  }

  /// Whether all records of an answer are in memory now.
  func isInMemory(_ origin: RequestOrigin) throws -> Bool {
    guard case .frame(_, let slices)? = answers[origin]?.content else {
      throw HarnessError.noAnswer
    }
    return try slices.flatMap(\.pieces).allSatisfy { piece in
      if case .memory = try piece.bytes(disk) { true } else { false }
    }
  }

  /// The response to a request, holes filled; nil if there is none yet.
  func response<R: WireRequest>(
    to origin: RequestOrigin, _ type: R.Type, version: Int16
  ) throws -> R.Response? {
    guard let answer = answers[origin] else { return nil }
    guard case .frame(let frame, let slices) = answer.content else { throw HarnessError.noFrame }
    var bytes: [UInt8] = []
    var left = slices[...]
    for segment in frame.segments {
      switch segment {
      case .bytes(let part): bytes += part
      case .external(let size) where size > 0:
        guard let slice = left.popFirst() else { throw HarnessError.noFrame }
        bytes += try store.bytes(of: slice)
      case .external: break
      }
    }
    let response = try ResponseFrame(bytes[4...], api: R.api, version: version)
    return try R.Response.decode(response.body, version: version)
  }

  /// Whether the node closed the connection instead of answering.
  func isClosed(_ origin: RequestOrigin) -> Bool {
    if case .close? = answers[origin]?.content { true } else { false }
  }

  /// Sends a request and lets the disk work until it is answered.
  func call<R: WireRequest>(
    _ request: R, version: Int16, connection: UInt64 = 1
  ) throws -> R.Response {
    let origin = try send(request, version: version, connection: connection)
    settle()
    guard let response = try response(to: origin, R.self, version: version) else {
      throw HarnessError.noAnswer
    }
    return response
  }

  enum HarnessError: Error { case noAnswer, noFrame }

  // MARK: Driving

  private func turn() {
    _ = node.turn(now: time)
    for answer in node.takeAnswers() { answers[answer.origin] = answer }
    notices += node.takeNotices()
  }

  /// Does the first operation in flight that is not held back. False if there is none.
  @discardableResult
  func step() -> Bool {
    guard let index = disk.inFlight.firstIndex(where: { !holdsBack($0.operation) }) else {
      return false
    }
    node.complete(disk.step(index))
    turn()
    return true
  }

  func settle() {
    turn()
    while step() {}
  }

  /// Time passes, and the node does not hear of it yet.
  func pass(_ milliseconds: Int64) { steady += milliseconds }

  /// Time passes, a tenth of a second at a time.
  func wait(_ milliseconds: Int64) {
    let end = steady + milliseconds
    while steady < end {
      steady = min(end, steady + 100)
      settle()
    }
  }

  // MARK: What tests ask for again and again

  func createTopic(_ name: String, partitions: Int32 = 1, configs: [String: String] = [:]) throws
    -> ErrorCode
  {
    try call(
      Requests.createTopic(name, partitions: partitions, configs: configs), version: 5
    ).topics[0].errorCode
  }

  @discardableResult
  func produce(_ topic: String, _ values: [String], partition: Int32 = 0) throws -> Int64 {
    let response = try call(
      Requests.produce(topic, values, partition: partition), version: 9)
    let part = response.responses[0].partitionResponses[0]
    guard part.errorCode == .none else { throw part.errorCode }
    return part.baseOffset
  }

  func commit(_ group: String, _ topic: String, _ offset: Int64, metadata: String = "") throws
    -> ErrorCode
  {
    var response = try call(Requests.commit(group, topic, offset, metadata: metadata), version: 7)
    while response.topics[0].partitions[0].errorCode == .notCoordinator {
      _ = try call(Requests.findCoordinator(group), version: 3)
      response = try call(Requests.commit(group, topic, offset, metadata: metadata), version: 7)
    }
    return response.topics[0].partitions[0].errorCode
  }

  func committed(_ group: String, _ topic: String) throws -> Int64 {
    let response = try call(Requests.offsetFetch(group, topic), version: 7)
    guard response.errorCode == .none else { throw response.errorCode }
    return response.topics[0].partitions[0].committedOffset
  }
}

extension ErrorCode: Error {}
