internal import KafkaWire
internal import Platform
internal import Records

/// A client of one partition that knows nothing but the nodes: it asks who answered last, and
/// once that one does not, all of them, each a millisecond after its answer.
final class Probe {
  static let produceVersion: Int16 = 9
  /// Between an acknowledgement and the next request, in nanoseconds.
  private static let pace: UInt64 = 4_000_000
  private static let retry: UInt64 = 1_000_000
  /// Who has not answered for so long is not waited for alone.
  private static let patience: UInt64 = 8_000_000

  let links: [Link]
  private let frame: [UInt8]
  private(set) var leader: Int?
  private var due: [UInt64]
  private(set) var acknowledgedAt: UInt64 = 0
  /// The longest time between two acknowledgements since `begin`, in nanoseconds.
  private(set) var gap: UInt64 = 0
  /// The longest between an acknowledgement of one node and the next of another.
  private(set) var handover: UInt64 = 0
  private var acknowledgedBy: Int?
  /// How often each was answered.
  private(set) var refusals: [ErrorCode: Int] = [:]

  init(topic: String, partition: Int32, _ addresses: [SocketAddress]) throws {
    links = try addresses.map(Link.init)
    due = Array(repeating: 0, count: addresses.count)
    var batch = RecordBatchBuilder()
    try batch.append(
      key: nil, value: [UInt8](repeating: 7, count: 100)[...], timestamp: Timestamp(0))
    let request = ProduceRequest.with {
      $0.acks = -1
      $0.timeoutMs = 30_000
      $0.topicData = [
        .with {
          $0.name = topic
          $0.partitionData = [
            .with {
              $0.index = partition
              $0.records = batch.buildUncompressed()[...]
            }
          ]
        }
      ]
    }
    frame = try Frame.request(
      request, version: Self.produceVersion, correlationId: 1, clientId: "failover"
    ).bytes
  }

  func begin() {
    gap = 0
    handover = 0
  }

  /// Asks whoever is due.
  func tick(_ now: UInt64) {
    if let leader, let asked = links[leader].askedAt, now - asked > Self.patience {
      self.leader = nil
    }
    for (index, link) in links.enumerated() where leader == nil || leader == index {
      guard !link.isBusy, due[index] <= now else { continue }
      link.ask(frame, now: now)
      due[index] = now + Self.retry
    }
  }

  func proceed(_ index: Int, _ now: UInt64) throws {
    let wasBusy = links[index].isBusy
    guard let bytes = links[index].proceed() else {
      if wasBusy, !links[index].isBusy, leader == index { leader = nil }
      return
    }
    let answer = try ResponseFrame(bytes, api: .produce, version: Self.produceVersion)
    let response = try ProduceResponse.decode(answer.body, version: Self.produceVersion)
    guard let partition = response.responses.first?.partitionResponses.first else { return }
    guard partition.errorCode == .none else {
      refusals[partition.errorCode, default: 0] += 1
      if leader == index { leader = nil }
      return
    }
    if acknowledgedAt > 0 {
      gap = max(gap, now - acknowledgedAt)
      if acknowledgedBy != index { handover = max(handover, now - acknowledgedAt) }
    }
    acknowledgedAt = now
    acknowledgedBy = index
    leader = index
    due[index] = now + Self.pace
  }
}
