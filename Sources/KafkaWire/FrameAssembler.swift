package import Bytes

/// Collects a connection's bytes into frames, requests or responses.
///
/// (1) Small frames are cut out of what was read. A large one has memory of its own, which whoever
///     is given the frame shares.
/// (2) That memory grows as its bytes arrive, and at most doubles, until a quarter is there; then
///     it is one that is back in the pool, if there is one of about that size. A peer that claims
///     100 MiB and sends nothing has nothing.
/// (3) Of a large frame no more is read than is missing, so that it ends where its memory ends.
package struct FrameAssembler {
  private static let readBytes = 64 << 10
  private static let largeBytes = 16 << 10

  /// Memory of large frames to be used again.
  package var pool: ArrayPool?
  /// Larger frames are refused.
  package var sizeMax: Int
  private var buffer: [UInt8] = []
  /// Of what has not been handed out yet.
  private var first = 0

  package init(_ pool: ArrayPool?, sizeMax: Int = Frame.sizeMax) {
    self.pool = pool
    self.sizeMax = sizeMax
  }

  /// Bytes read and not yet handed out.
  package var buffered: Int { buffer.count - first }
  /// Bytes that are held for them.
  package var capacity: Int { buffer.capacity }

  /// Lets `read` put bytes into memory, once; it tells how many those were.
  package mutating func receive<Outcome>(
    _ read: (UnsafeMutableRawBufferPointer) -> (Outcome, count: Int)
  ) -> Outcome? {
    compact()
    let room = makeRoom()
    var outcome: Outcome?
    buffer.append(addingCapacity: room) { span in
      unsafe span.withUnsafeMutableBufferPointer { bytes, initialized in
        let free = UnsafeMutableRawBufferPointer(bytes)
        let (result, count) = unsafe read(UnsafeMutableRawBufferPointer(rebasing: free[..<room]))
        outcome = result
        initialized += count
      }
    }
    return outcome
  }

  /// The next whole frame, without its size; nil if there is none yet.
  package mutating func next() throws(WireError) -> ArraySlice<UInt8>? {
    guard let size = try Frame.size(in: buffer[first...], max: sizeMax) else { return nil }
    guard buffer.count - first >= 4 + size else { return nil }
    let range = (first + 4)..<(first + 4 + size)
    first += 4 + size
    guard size >= Self.largeBytes, first == buffer.count else { return Array(buffer[range])[...] }
    // All of the buffer but the part before it: hand it over instead of copying.
    if buffer.capacity > Self.readBytes { pool?.lend(buffer) }
    let frame = buffer[range]
    buffer = []
    first = 0
    return frame
  }

  /// Returns how much to read.
  private mutating func makeRoom() -> Int {
    let size = (try? Frame.size(in: buffer[first...], max: sizeMax)) ?? 0
    let missing = 4 + size - buffered
    guard size >= Self.largeBytes, missing > 0 else {
      buffer.reserveCapacity(buffer.count + Self.readBytes)
      return Self.readBytes
    }
    if buffer.capacity < 4 + size, 4 * buffered >= size, var larger = pool?.take(room: 4 + size) {
      larger += buffer
      buffer = larger
    }
    let free = buffer.capacity - buffer.count
    let room = min(missing, max(free, buffer.count, Self.readBytes))
    buffer.reserveCapacity(buffer.count + room)
    return room
  }

  private mutating func compact() {
    guard first > 0 else { return }
    if first == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 4 * Self.readBytes)
    } else {
      buffer.removeFirst(first)
    }
    first = 0
  }
}
