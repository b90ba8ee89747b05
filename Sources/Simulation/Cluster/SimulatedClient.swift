internal import Broker
internal import Bytes
internal import Checks
internal import KafkaWire
internal import LogStore
internal import Records

/// A request that has no answer yet.
struct PendingRequest {
  var client: SimulatedClient
  var channel: SimulatedChannel
  var node: Int32
  /// Nil: no answer will come, and what became of it is not known.
  var take: ([UInt8]?) -> Void
  /// Looks at the answer when it is given, and at who gives it.
  var inspect: (([UInt8], SimulatedNode) -> Void)?
}

/// A connection of a client: answers come in the order of the requests.
final class SimulatedChannel {
  let id: ConnectionID
  /// The process at the other end.
  let life: Int
  /// When the last request arrives, and the last answer.
  var arrival: Int64
  var answerArrival: Int64 = 0
  var asked: [UInt64] = []
  var answers: [UInt64: [UInt8]] = [:]

  init(_ id: ConnectionID, _ life: Int, _ now: Int64) {
    self.id = id
    self.life = life
    arrival = now
  }
}

/// A client: frames to nodes, as over connections of its own.
class SimulatedClient {
  unowned let cluster: SimulatedCluster
  /// Its number in the history.
  let process: Int32
  /// By node: its connection, and when the last request arrives there.
  var connections: [Int32: SimulatedChannel] = [:]
  /// Who leads partitions of the topic, as far as it knows.
  var leaders: [Int32: (node: Int32, epoch: Int32)] = [:]
  private var isAsking = false
  private var waiting: [() -> Void] = []

  init(_ cluster: SimulatedCluster, process: Int32) {
    self.cluster = cluster
    self.process = process
  }

  func begin() {}
  /// It holds on to nobody.
  func end() {
    waiting = []
  }

  /// Nothing is under way that has to be.
  var isDone: Bool { true }
  /// What it waits for, for people.
  var text: String { "" }

  func anyNode() -> Int32 { Int32(1 + cluster.random.below(cluster.nodes.count)) }

  func call<R: WireRequest>(
    _ node: Int32, _ request: R, version: Int16, timeout: Int? = nil,
    inspect: ((R.Response, SimulatedNode) -> Void)? = nil,
    then: @escaping (R.Response?) -> Void
  ) {
    guard
      let frame = try? Frame.request(
        request, version: version, correlationId: 5, clientId: "sim")
    else { return cluster.violated("a \(R.api) request cannot be encoded") }
    let cluster = cluster
    func decode(_ bytes: [UInt8]) -> R.Response? {
      do {
        let response = try ResponseFrame(bytes[4...], api: R.api, version: version)
        return try R.Response.decode(response.body, version: version)
      } catch {
        cluster.violated("an answer to \(R.api) cannot be read: \(error)")
        return nil
      }
    }
    let look = inspect.map { inspect in
      { (bytes: [UInt8], member: SimulatedNode) in
        if let response = decode(bytes) { inspect(response, member) }
      }
    }
    let time = timeout ?? cluster.options.clientTimeout
    cluster.send(frame.bytes, self, to: node, timeout: time, look) { bytes in
      guard let bytes else { return then(nil) }
      if let response = decode(bytes) { then(response) }
    }
  }

  /// Asks any node who leads; whatever comes of it, goes on.
  func findLeaders(_ then: @escaping () -> Void) {
    waiting.append(then)
    guard !isAsking else { return }
    isAsking = true
    let request = MetadataRequest.with { request in
      request.allowAutoTopicCreation = false
      request.topics = [.with { $0.name = SimulatedCluster.topic }]
    }
    cluster.after(cluster.around(cluster.milliseconds(5))) { [unowned self] in
      call(anyNode(), request, version: 9, timeout: 1000) { [unowned self] response in
        isAsking = false
        for partition in response?.topics.first?.partitions ?? [] {
          let known = leaders[partition.partitionIndex]
          guard partition.leaderId > 0, partition.leaderEpoch >= known?.epoch ?? -1 else {
            continue
          }
          leaders[partition.partitionIndex] = (partition.leaderId, partition.leaderEpoch)
        }
        let all = waiting
        waiting = []
        for action in all { action() }
      }
    }
  }
}

/// A client that does one thing after another, with a pause after each.
class UnhurriedClient: SimulatedClient {
  private var isBusy = false
  override var isDone: Bool { !isBusy }
  /// Milliseconds, on average.
  var pause: Int { 100 }

  override func begin() { later() }

  /// Nothing is under way any more.
  func later() {
    isBusy = false
    cluster.after(1000 + cluster.around(cluster.milliseconds(pause))) { [unowned self] in
      guard !cluster.isEnding else { return }
      isBusy = true
      act()
    }
  }

  /// Begins something that ends with `later`.
  func act() {}
}

extension SimulatedCluster {
  static let topic = "events"

  private func clientDelay(_ node: Int32) -> Int64 {
    let micro = options.delayLeast + random.below(max(1, options.delayMean))
    return Int64(micro) * 1000 * slowness[Int(node) - 1]
  }

  func send(
    _ bytes: [UInt8], _ client: SimulatedClient, to node: Int32, timeout: Int,
    _ inspect: (([UInt8], SimulatedNode) -> Void)?, _ take: @escaping ([UInt8]?) -> Void
  ) {
    nextRequest += 1
    let number = nextRequest
    let channel: SimulatedChannel
    if let known = client.connections[node] {
      channel = known
    } else {
      nextConnection += 1
      channel = SimulatedChannel(ConnectionID(nextConnection), self[node].life, now)
      client.connections[node] = channel
    }
    pending[number] = PendingRequest(
      client: client, channel: channel, node: node, take: take, inspect: inspect)
    channel.asked.append(number)
    let arrival = max(channel.arrival, now + clientDelay(node))
    channel.arrival = arrival
    let origin = RequestOrigin(connection: channel.id, sequence: number, clientHost: "sim")
    queue.add(at: arrival) { [unowned self] in
      let member = self[node]
      guard let running = member.node, running.hasStarted, member.stop == nil else {
        return after(clientDelay(node)) { [unowned self] in fail(number) }
      }
      guard member.life == channel.life else {
        // That process is gone, and this one's kernel says so.
        return after(clientDelay(node)) { [unowned self] in
          if client.connections[node] === channel { client.connections[node] = nil }
          for number in channel.asked { fail(number) }
        }
      }
      deliver(to: member, member.life) { node, time in
        node.handle(bytes[4...], from: origin, now: time)
      }
    }
    after(milliseconds(timeout)) { [unowned self] in
      guard pending[number] != nil else { return }
      if client.connections[node] === channel {
        client.connections[node] = nil
        let member = self[node]
        deliver(to: member, member.life) { node, _ in node.connectionClosed(channel.id) }
      }
      // With the connection, all that was asked over it.
      for number in channel.asked { fail(number) }
    }
  }

  private func fail(_ number: UInt64) {
    guard let request = pending.removeValue(forKey: number) else { return }
    request.take(nil)
  }

  /// The node's process is gone: whoever is connected to it hears of it, if its kernel says so.
  func connectionsLost(to member: SimulatedNode, isSilent: Bool) {
    guard !isSilent else { return }
    for client in clients { client.connections[member.id] = nil }
    for number in pending.keys.sorted() where pending[number]?.node == member.id {
      after(around(milliseconds(2))) { [unowned self] in fail(number) }
    }
  }

  func answered(_ answer: NodeAnswer, _ member: SimulatedNode) {
    let number = answer.origin.sequence
    switch answer.content {
    case .frame(let frame, let slices):
      var bytes: [UInt8] = []
      var left = slices[...]
      do {
        for segment in frame.segments {
          switch segment {
          case .bytes(let part): bytes += part
          case .external(let size) where size > 0:
            guard let slice = left.popFirst(), let store = member.store else { return }
            bytes += try store.bytes(of: slice)
          case .external: break
          }
        }
      } catch {
        say("node \(member.id) cannot send what it answered: \(error)")
        return
      }
      mix(UInt64(CRC32C.of(bytes[...])) << 8 | UInt64(member.id))
      guard let request = pending[number] else { return }
      let channel = request.channel
      request.inspect?(bytes, member)
      channel.answers[number] = bytes
      pass(channel, member.id)
    case .nothing: break
    case .close(let why): violated("node \(member.id) closes a connection: \(why)")
    }
  }

  /// What is answered next on a connection, as far as it is.
  private func pass(_ channel: SimulatedChannel, _ node: Int32) {
    while let next = channel.asked.first {
      if pending[next] == nil {
        channel.asked.removeFirst()
        channel.answers[next] = nil
        continue
      }
      guard let bytes = channel.answers.removeValue(forKey: next) else { return }
      channel.asked.removeFirst()
      let arrival = max(channel.answerArrival, now + clientDelay(node))
      channel.answerArrival = arrival
      queue.add(at: arrival) { [unowned self] in
        guard let request = pending.removeValue(forKey: next) else { return }
        request.take(bytes)
      }
    }
  }
}
