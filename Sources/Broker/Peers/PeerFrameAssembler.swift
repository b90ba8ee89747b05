package import Bytes

/// Collects a connection's bytes into frames.
///
/// (1) Small frames are cut out of what was read. A large one has memory of its own, which whoever
///     is given the frame shares.
/// (2) That memory grows as its bytes arrive, and at most doubles, until a quarter is there; then
///     it is one that is back in the pool, if there is one of about that size.
/// (3) Of a large frame no more is read than is missing, so that it ends where its memory ends.
package struct PeerFrameAssembler {
  private static let readBytes = 64 << 10
  private static let largeBytes = 16 << 10

  /// Frames over that are refused.
  package var sizeMax: Int
  /// Memory of large frames to be used again; the thread's that reads.
  package var pool: ArrayPool?
  private var buffer: [UInt8] = []
  /// Of what has not been handed out yet.
  private var first = 0

  package init(sizeMax: Int) { self.sizeMax = sizeMax }

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
  package mutating func next() throws(PeerFault) -> ArraySlice<UInt8>? {
    guard let size = claimedSize else { return nil }
    guard size > 0 else { throw PeerFault("it sent an empty frame") }
    guard size <= sizeMax else {
      throw PeerFault("it announced a frame of \(size) bytes, where at most \(sizeMax) may come")
    }
    guard buffered >= 4 + size else { return nil }
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

  /// What the next frame says its size is.
  private var claimedSize: Int? {
    guard buffered >= 4 else { return nil }
    return buffer[first..<first + 4].reduce(0) { $0 << 8 | Int($1) }
  }

  /// Returns how much to read.
  private mutating func makeRoom() -> Int {
    let size = min(claimedSize ?? 0, sizeMax)
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
