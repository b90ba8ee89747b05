internal import Bytes
internal import KafkaWire
internal import Records

/// Finds the owner's last position in a partition: reads its last batch, and where that has none,
/// ever more of what is before it.
///
/// (1) What was appended before the search began is seen, up to the end that the search is given.
/// (2) Each step back reads twice as much as the one before, so that a partition whose end somebody
///     else filled costs as much as reading it once, and one of ours a single fetch.
/// (3) Who knows where its records begin and what the last of them is searches forward from there,
///     and no further than that record: what others wrote since is not read, unless it is missing.
final class LastPositionSearch {
  private static let fetchBytes: Int32 = 4 << 20

  private let network: Network
  private let partition: TopicPartition
  private let owner: Position.Owner
  private let start: Int64
  private let end: Int64
  private let deadline: Int64
  private let completion: (Result<Position?, ClientError>) -> Void
  private var decompressor = Decompressor()
  /// The part that is being read, and how far that has got.
  private var from: Int64
  private var bound: Int64
  private var next: Int64
  private var step: Int64 = 1
  private var found: Position?
  private let expected: Position?

  init(
    _ network: Network, _ partition: TopicPartition, _ owner: Position.Owner, start: Int64,
    end: Int64, known: PositionedProducer.Known?, until deadline: Int64,
    _ completion: @escaping (Result<Position?, ClientError>) -> Void
  ) {
    self.network = network
    self.partition = partition
    self.owner = owner
    // An offset behind the end is of a topic that was there before under this name.
    let floor = known.map { $0.from <= end ? max(start, $0.from) : start }
    self.start = floor ?? start
    self.end = end
    self.deadline = deadline
    self.completion = completion
    expected = known?.last
    bound = end
    from = floor ?? max(start, end - 1)
    next = from
  }

  func run() {
    guard start < end else { return completion(.success(nil)) }
    read()
  }

  private func read() {
    let offset = next
    network.retry(until: deadline) { [network, partition] attempt in
      network.fetch(
        partition, from: offset, bytesMax: Self.fetchBytes, lane: .general, attempt)
    } _: { (result: Result<FetchResponse.Partition, ClientError>) in
      switch result {
      case .failure(let error): self.completion(.failure(error))
      case .success(let answer): self.take(answer)
      }
    }
  }

  private func take(_ answer: FetchResponse.Partition) {
    guard case .bytes(let bytes)? = answer.records else { return goOn(isEmpty: true) }
    var batches = RecordBatches(bytes)
    var isEmpty = true
    do throws(RecordError) {
      while next < bound, let batch = try batches.next() {
        isEmpty = false
        next = max(next, batch.header.nextOffset.rawValue)
        guard !batch.header.attributes.isControl else { continue }
        try batch.checkCRC()
        for record in try batch.records(&decompressor) {
          if let position = Position(record.headers, of: owner) {
            found = max(found ?? position, position)
          }
        }
      }
    } catch {
      let why = "the records of \(partition) at \(next) cannot be read: \(error)"
      return completion(.failure(ClientError(.corruptData, why)))
    }
    if let found, let expected, found >= expected { return completion(.success(found)) }
    goOn(isEmpty: isEmpty)
  }

  private func goOn(isEmpty: Bool) {
    if next < bound {
      guard isEmpty else { return read() }
      // What is committed and not there yet is only late: to take an older position for the last
      // would repeat records. A compacted log keeps its last batch, if only as a header.
      guard network.now < deadline else {
        let why = "the records of \(partition) up to \(end) did not become readable in time"
        return completion(.failure(ClientError(.timedOut, why)))
      }
      return again()
    }
    if let found { return completion(.success(found)) }
    guard from > start else { return completion(.success(nil)) }
    bound = from
    step *= 2
    from = max(start, from - step)
    next = from
    read()
  }

  private func again() {
    network.after(10) { self.read() }
  }
}
