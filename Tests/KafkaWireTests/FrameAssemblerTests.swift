import Bytes
import KafkaWire
import Testing

@Suite struct `A connection's bytes` {
  /// Frames of these sizes, one behind the other, with bytes that tell them apart.
  private func stream(_ sizes: [Int]) -> (bytes: [UInt8], frames: [[UInt8]]) {
    var bytes: [UInt8] = []
    var frames: [[UInt8]] = []
    for (index, size) in sizes.enumerated() {
      let frame = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index) }
      bytes += withUnsafeBytes(of: Int32(size).bigEndian) { Array($0) } + frame
      frames.append(frame)
    }
    return (bytes, frames)
  }

  /// What comes out when at most `piece` bytes arrive at a time, and the largest room that was
  /// given. Every other frame is let go at once, so that its memory is used again.
  private func assemble(
    _ bytes: [UInt8], piece: Int
  ) throws -> (frames: [ArraySlice<UInt8>?], rest: Int, room: Int) {
    var assembler = FrameAssembler(ArrayPool(bytesMax: 8 << 20))
    var frames: [ArraySlice<UInt8>?] = []
    var room = 0
    var next = 0
    while next < bytes.count {
      _ = assembler.receive { space in
        room = max(room, space.count)
        let count = min(piece, space.count, bytes.count - next)
        space.copyBytes(from: bytes[next..<next + count])
        next += count
        return ((), count)
      }
      while let frame = try assembler.next() {
        frames.append(frames.count % 2 == 0 ? frame : nil)
      }
    }
    return (frames, assembler.buffered, room)
  }

  @Test(arguments: [1, 3, 4, 5, 1000, 16 << 10, 64 << 10, 1 << 20])
  func `are the same frames, however they are cut`(piece: Int) throws {
    let sizes = [
      0, 1, 4, 100, 16 << 10, 5, (16 << 10) - 1, 200_000, 300_000, 250_000, 1_000_000, 7, 200_000,
      1,
    ]
    let (bytes, frames) = stream(piece < 1000 ? Array(sizes.prefix(7)) : sizes)
    let result = try assemble(bytes, piece: piece)
    #expect(result.frames == frames.enumerated().map { $0.offset % 2 == 0 ? $0.element[...] : nil })
    #expect(result.rest == 0)
  }

  @Test func `get no more memory than has arrived, whatever they claim`() throws {
    let claim: [UInt8] = withUnsafeBytes(of: Int32(Frame.sizeMax).bigEndian) { Array($0) }
    let result = try assemble(claim + [UInt8](repeating: 1, count: 300_000), piece: 10_000)
    #expect(result.frames.isEmpty)
    #expect(result.rest == 300_004)
    #expect(result.room <= 300_004)
  }

  @Test func `get memory from the pool when a quarter has arrived, and not for a claim`() throws {
    let size = 1 << 20
    let pool = ArrayPool(bytesMax: 4 << 20)
    var array: [UInt8] = []
    array.reserveCapacity(size + size / 2)
    pool.lend(array)
    array = []
    let claim: [UInt8] = withUnsafeBytes(of: Int32(size).bigEndian) { Array($0) }
    var assembler = FrameAssembler(pool)
    func receive(_ count: Int) -> Int {
      var room = 0
      let bytes = assembler.buffered == 0 ? claim : [UInt8](repeating: 1, count: count)
      _ = assembler.receive { space in
        room = space.count
        let taken = min(bytes.count, space.count)
        space.copyBytes(from: bytes.prefix(taken))
        return ((), taken)
      }
      return room
    }
    _ = receive(4)
    #expect(receive(60_000) < size / 4)
    // It is still in the pool.
    let idle = pool.take(room: size)
    #expect(idle != nil)
    if let idle { pool.lend(idle) }
    while assembler.buffered * 4 < size { _ = receive(60_000) }
    #expect(receive(60_000) > size / 2)
    #expect(pool.take(room: size) == nil)
    // Nor is it for a frame that is far smaller.
    #expect(pool.take(room: 1000) == nil)
  }

  @Test func `that claim too much are no frames`() {
    #expect(throws: WireError.frameSize(Frame.sizeMax + 1)) {
      _ = try assemble([0x06, 0x40, 0x00, 0x01], piece: 4)
    }
  }
}
