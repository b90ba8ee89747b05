package import Bytes
internal import KafkaWire

/// Collects a connection's bytes into frames of another node: what is wrong with them is said in
/// words, and none is empty.
package struct PeerFrameAssembler {
  private var frames: FrameAssembler

  package init(sizeMax: Int) { frames = FrameAssembler(nil, sizeMax: sizeMax) }

  /// Frames over that are refused.
  package var sizeMax: Int {
    get { frames.sizeMax }
    set { frames.sizeMax = newValue }
  }

  /// Memory of large frames to be used again; the thread's that reads.
  package var pool: ArrayPool? {
    get { frames.pool }
    set { frames.pool = newValue }
  }

  /// Bytes read and not yet handed out.
  package var buffered: Int { frames.buffered }
  /// Bytes that are held for them.
  package var capacity: Int { frames.capacity }

  /// Lets `read` put bytes into memory, once; it tells how many those were.
  package mutating func receive<Outcome>(
    _ read: (UnsafeMutableRawBufferPointer) -> (Outcome, count: Int)
  ) -> Outcome? {
    unsafe frames.receive(read)
  }

  /// The next whole frame, without its size; nil if there is none yet.
  package mutating func next() throws(PeerFault) -> ArraySlice<UInt8>? {
    let frame: ArraySlice<UInt8>?
    do throws(WireError) {
      frame = try frames.next()
    } catch {
      guard case .frameSize(let size) = error else { throw PeerFault("\(error)") }
      let said = UInt32(truncatingIfNeeded: size)
      throw PeerFault("it announced a frame of \(said) bytes, where at most \(sizeMax) may come")
    }
    if let frame, frame.isEmpty { throw PeerFault("it sent an empty frame") }
    return frame
  }
}
