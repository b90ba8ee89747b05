// A broker that acknowledges and discards, and has always the same records to read: what a client
// reaches against it is the most that the client can do on this machine. Topics of any name have
// six partitions.
//
//   swift run -c release CeilingBroker [HOST:PORT] [--sync DIRECTORY]
//
// With --sync, what was received is first written to one file, over blocks that were written
// before, and synced: the least that a broker must do which acknowledges nothing that a power cut
// takes back.
internal import Broker
internal import Bytes
internal import KafkaWire
internal import Platform
internal import Records

let partitionCount: Int32 = 6
/// Records in one batch that is read, of 1 KiB each: 64 KiB together.
let batchRecords = 64
/// Batches in the answer for one partition.
let answeredBatches = 15

/// One client: its bytes, cut into frames, answered in order.
final class Client: ReadinessHandler {
  let socket: Socket
  let loop: EventLoop
  let address: SocketAddress
  var input: [UInt8] = []
  var first = 0
  /// What waits to be sent: pieces, of the first of which `sent` bytes have left.
  var output: [ArraySlice<UInt8>] = []
  var sent = 0
  var offsets: [Int64]
  let durable: Durable?
  let closed: (Client) -> Void

  init(
    _ socket: Socket, _ loop: EventLoop, _ address: SocketAddress, _ durable: Durable?,
    closed: @escaping (Client) -> Void
  ) {
    self.socket = socket
    self.loop = loop
    self.address = address
    self.durable = durable
    self.closed = closed
    offsets = .init(repeating: 0, count: Int(partitionCount))
  }

  func ready(_ readiness: Readiness) {
    guard receive() else { return end() }
    do {
      while let frame = try next() { try answer(RequestFrame(frame)) }
      try durable?.sync()
    } catch {
      Console.complain("closed a connection: \(error)\n")
      return end()
    }
    send()
  }

  private func end() {
    loop.remove(socket.descriptor)
    closed(self)
  }

  private func receive() -> Bool {
    if first == input.count {
      input.removeAll(keepingCapacity: true)
    } else {
      input.removeFirst(first)
    }
    first = 0
    var transfer = Socket.Transfer.wouldBlock
    input.reserveCapacity(input.count + (1 << 20))
    input.append(addingCapacity: 1 << 20) { span in
      unsafe span.withUnsafeMutableBufferPointer { bytes, initialized in
        transfer = unsafe socket.receive(into: UnsafeMutableRawBufferPointer(bytes))
        if case .bytes(let count) = transfer { initialized += count }
      }
    }
    return transfer != .closed
  }

  private func next() throws -> ArraySlice<UInt8>? {
    guard let size = try Frame.size(in: input[first...]), input.count - first >= 4 + size else {
      return nil
    }
    defer { first += 4 + size }
    return input[(first + 4)..<(first + 4 + size)]
  }

  private func send() {
    while !output.isEmpty {
      let pieces = output.prefix(1024)
      let transfer = withExtendedLifetime(pieces) {
        var views = unsafe pieces.map { piece in
          unsafe piece.withUnsafeBytes { unsafe UnsafeRawBufferPointer(rebasing: $0[...]) }
        }
        unsafe views[0] = UnsafeRawBufferPointer(rebasing: views[0][sent...])
        return unsafe socket.send(views, more: false)
      }
      switch transfer {
      case .bytes(let count): advance(by: count)
      case .wouldBlock: return loop.change(socket.descriptor, [.readable, .writable])
      case .closed: return end()
      }
    }
    loop.change(socket.descriptor, [.readable])
  }

  private func advance(by count: Int) {
    sent += count
    var whole = 0
    while whole < output.count, sent >= output[whole].count {
      sent -= output[whole].count
      whole += 1
    }
    output.removeFirst(whole)
  }

  private func reply<R: WireResponse>(_ frame: RequestFrame, _ body: R, version: Int16? = nil)
    throws
  {
    let response = try Frame.response(
      body, version: version ?? frame.version, correlationId: frame.header.correlationId)
    for segment in response.segments {
      switch segment {
      case .bytes(let bytes): output.append(bytes)
      case .external: output += batches(from: holes.removeFirst())
      }
    }
  }

  private func answer(_ frame: RequestFrame) throws {
    switch frame.api {
    case .apiVersions:
      let answer = try ApiVersionsAnswer(to: frame)
      try reply(frame, answer.response, version: answer.version)
    case .metadata: try reply(frame, metadata(frame.decode(MetadataRequest.self)))
    case .initProducerId:
      try reply(frame, InitProducerIdResponse.with { $0.producerId = 1 })
    case .produce:
      let request = try frame.decode(ProduceRequest.self)
      for partition in request.topicData.flatMap(\.partitionData) {
        if let records = partition.records { try durable?.add(records) }
      }
      if request.acks != 0 { try reply(frame, acknowledged(request)) }
    case .listOffsets: try reply(frame, bounds(frame.decode(ListOffsetsRequest.self)))
    case .fetch: try reply(frame, records(frame.decode(FetchRequest.self)))
    default: throw UnknownRequest(api: frame.api)
    }
  }

  struct UnknownRequest: Error {
    let api: APIKey
  }

  private func metadata(_ request: MetadataRequest) -> MetadataResponse {
    var response = MetadataResponse()
    var broker = MetadataResponse.Broker()
    broker.nodeId = 1
    broker.host = address.host
    broker.port = Int32(address.port)
    response.brokers = [broker]
    response.controllerId = 1
    response.clusterId = "ceiling"
    response.topics = (request.topics ?? []).map { asked in
      var topic = MetadataResponse.Topic()
      topic.name = asked.name
      topic.topicId = UUID16(high: 1, low: 1)
      topic.partitions = (0..<partitionCount).map { index in
        var partition = MetadataResponse.Partition()
        partition.partitionIndex = index
        partition.leaderId = 1
        partition.leaderEpoch = 0
        partition.replicaNodes = [1]
        partition.isrNodes = [1]
        return partition
      }
      return topic
    }
    return response
  }

  private func acknowledged(_ request: ProduceRequest) -> ProduceResponse {
    var response = ProduceResponse()
    response.responses = request.topicData.map { topic in
      var answered = ProduceResponse.Topic()
      answered.name = topic.name
      answered.partitionResponses = topic.partitionData.map { partition in
        var answer = ProduceResponse.Partition()
        answer.index = partition.index
        answer.baseOffset = advance(partition)
        answer.logStartOffset = 0
        return answer
      }
      return answered
    }
    return response
  }

  /// From where the records go that the answer has holes for.
  private var holes: [Int64] = []

  private func bounds(_ request: ListOffsetsRequest) -> ListOffsetsResponse {
    var response = ListOffsetsResponse()
    response.topics = request.topics.map { topic in
      var answered = ListOffsetsResponse.Topic()
      answered.name = topic.name
      answered.partitions = topic.partitions.map { partition in
        var answer = ListOffsetsResponse.Partition()
        answer.partitionIndex = partition.partitionIndex
        answer.offset = partition.timestamp == -2 ? 0 : .max
        answer.leaderEpoch = 0
        return answer
      }
      return answered
    }
    return response
  }

  private func records(_ request: FetchRequest) -> FetchResponse {
    var response = FetchResponse()
    response.responses = request.topics.map { topic in
      var answered = FetchResponse.Topic()
      answered.topic = topic.topic
      answered.topicId = topic.topicId
      answered.partitions = topic.partitions.map { partition in
        var answer = FetchResponse.Partition()
        answer.partitionIndex = partition.partition
        answer.highWatermark = .max
        answer.lastStableOffset = .max
        answer.logStartOffset = 0
        answer.records = .external(size: answeredBatches * (8 + batchRests[0].count))
        holes.append(partition.fetchOffset)
        return answer
      }
      return answered
    }
    return response
  }

  /// The same batches with other offsets, which no CRC covers.
  private func batches(from offset: Int64) -> [ArraySlice<UInt8>] {
    (0..<answeredBatches).flatMap { number in
      let base = UInt64(offset + Int64(number * batchRecords))
      let rest = batchRests[Int(truncatingIfNeeded: base) / batchRecords % batchRests.count]
      return [(0..<8).map { UInt8(truncatingIfNeeded: base >> (56 - 8 * $0)) }[...], rest]
    }
  }

  /// The batch's last offset delta says how many offsets it takes.
  private func advance(_ partition: ProduceRequest.Partition) -> Int64 {
    let index = Int(partition.index)
    guard offsets.indices.contains(index), let records = partition.records, records.count > 27
    else { return 0 }
    let delta = records[(records.startIndex + 23)..<(records.startIndex + 27)].reduce(Int64(0)) {
      $0 << 8 | Int64($1)
    }
    defer { offsets[index] += delta + 1 }
    return offsets[index]
  }
}

/// Batches without their first offsets: 64 MiB, as much as a broker with a log sends that never was
/// in the processor's caches.
let batchRests: [ArraySlice<UInt8>] = (0..<1024).map { _ in
  var builder = RecordBatchBuilder(producer: .none)
  var random = SystemRandomNumberGenerator()
  for _ in 0..<batchRecords {
    var value: [UInt8] = []
    while value.count < 1024 {
      unsafe withUnsafeBytes(of: random.next()) { unsafe value += $0 }
    }
    try? builder.append(
      key: nil, value: value[...], headers: [], timestamp: Timestamp(1_700_000_000_000))
  }
  return builder.buildUncompressed().dropFirst(8)
}

/// A file that is written round and round.
final class Durable {
  static let fileBytes: Int64 = 256 << 20
  private let disk: FileDisk
  private let file: FileID
  private let memory = BlockMemory(count: 8 << 20)
  private var used = 0
  private var position: Int64 = 0

  init(directory: String) throws {
    disk = try FileDisk(directory: directory)
    guard case .file(let file) = try disk.perform(.open("written", .create, direct: true)) else {
      fatalError("opening gives a file")
    }
    self.file = file
    _ = try disk.perform(.allocate(file, bytes: Self.fileBytes))
  }

  func add(_ bytes: ArraySlice<UInt8>) throws {
    if used + bytes.count > memory.count { try sync() }
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe UnsafeMutableRawBufferPointer(
        rebasing: memory.bytes[used..<used + bytes.count]
      ).copyMemory(from: bytes)
    }
    used += bytes.count
  }

  func sync() throws {
    guard used > 0 else { return }
    let count = (used + 4095) & ~4095
    if position + Int64(count) > Self.fileBytes { position = 0 }
    let bytes = DiskBytes(memory, 0..<count)
    _ = try disk.perform(.write(file, position: position, [bytes], durable: true))
    position += Int64(count)
    used = 0
  }
}

final class Acceptor: ReadinessHandler {
  let listener: Socket
  let loop: EventLoop
  let address: SocketAddress
  let durable: Durable?
  var clients: [Int32: Client] = [:]

  init(
    _ listener: Socket, _ loop: EventLoop, _ address: SocketAddress, _ durable: Durable?
  ) {
    self.listener = listener
    self.loop = loop
    self.address = address
    self.durable = durable
  }

  func ready(_ readiness: Readiness) {
    while case .socket(let socket) = listener.accept() {
      let client = Client(socket, loop, address, durable) { [unowned self] in
        clients[$0.socket.descriptor] = nil
      }
      clients[socket.descriptor] = client
      loop.add(socket.descriptor, [.readable], client)
    }
  }
}

var arguments = Array(CommandLine.arguments.dropFirst())
var durable: Durable?
if let option = arguments.firstIndex(of: "--sync"), option + 1 < arguments.count {
  durable = try Durable(directory: arguments[option + 1])
  arguments.removeSubrange(option...option + 1)
}
guard var address = SocketAddress(arguments.first ?? "127.0.0.1:9092") else {
  Console.complain("CeilingBroker takes HOST:PORT and --sync DIRECTORY.\n")
  Console.exit(2)
}
let loop = try EventLoop()
let listener = try Socket.listen(address)
address.port = listener.localPort
let acceptor = Acceptor(listener, loop, address, durable)
loop.add(listener.descriptor, [.readable], acceptor)
Console.complain("acknowledges and discards on \(address)\n")
loop.run()
