internal import Bytes
internal import Platform

/// What one flush of the journal makes durable, in memory on its way there.
final class JournalGroup {
  let file: FileID
  let generation: UInt64
  let number: UInt64
  /// Where it goes in its file.
  let position: Int64
  /// It is the first of its file, and is written together with the file's header.
  let opensFile: Bool
  private(set) var frames = 0
  /// Frames of this and all groups before it, since the store was opened. Set when it is closed.
  var framesThrough: UInt64 = 0
  /// What to do with the logs when it is submitted, and when it is durable.
  var effects: [GroupEffect] = []

  private let memory: BlockMemory
  /// The group's first byte in `memory`; the block before it is for a file header.
  private let start: Int
  private let capacity: Int
  /// Bytes of the group so far, header included.
  private var used = JournalFormat.groupHeaderBytes
  private var digest = CRC32C()

  init(
    memory: BlockMemory, file: FileID, generation: UInt64, number: UInt64, position: Int64,
    opensFile: Bool, start: Int, capacity: Int
  ) {
    self.memory = memory
    self.file = file
    self.generation = generation
    self.number = number
    self.position = position
    self.opensFile = opensFile
    self.start = start
    self.capacity = capacity
  }

  /// Bytes that still fit, frame header included.
  var room: Int { capacity - used }

  /// Bytes it takes in its file.
  func writtenBytes(block: Int) -> Int { (used + block - 1) / block * block }

  func add(
    _ kind: FrameKind, log: LogID, epoch: LeaderEpoch, uncommitted: UInt32?, payloadBytes: Int,
    fill: (UnsafeMutableRawBufferPointer) -> Void
  ) -> DiskBytes {
    let size = JournalFormat.frameBytes(payload: payloadBytes)
    require(
      size <= room, "a frame of \(size) bytes does not fit into a group with room for \(room)")
    let first = start + used + JournalFormat.frameHeaderBytes
    let payload = unsafe UnsafeMutableRawBufferPointer(
      rebasing: memory.bytes[first..<first + payloadBytes])
    unsafe fill(payload)
    let header = FrameHeader(
      log: log, kind: kind, epoch: epoch, length: payloadBytes,
      payloadCRC: unsafe FrameHeader.payloadCRC(
        UnsafeRawBufferPointer(payload), generation: generation),
      uncommitted: uncommitted)
    let crc = unsafe header.write(
      to: UnsafeMutableRawBufferPointer(rebasing: memory.bytes[(start + used)..<first]),
      generation: generation)
    digest.update(crc)
    // The memory was used before: what is between frames must not be an old frame.
    clear((first + payloadBytes)..<(start + used + size))
    used += size
    frames += 1
    return DiskBytes(memory, first..<first + payloadBytes)
  }

  /// Writes the headers. Returns the group's CRC.
  func finish(store: UInt64, durableThrough: UInt64, previousCRC: UInt32) -> UInt32 {
    if opensFile {
      clear(0..<start)
      let header = JournalFileHeader(
        store: store, generation: generation, firstGroup: number, previousCRC: previousCRC)
      unsafe header.write(to: memory.bytes)
    }
    let header = GroupHeader(
      store: store, generation: generation, number: number, durableThrough: durableThrough,
      previousCRC: previousCRC, digest: digest.value,
      length: used - JournalFormat.groupHeaderBytes, frames: frames)
    return unsafe header.write(
      to: UnsafeMutableRawBufferPointer(rebasing: memory.bytes[start..<start + used]))
  }

  private func clear(_ range: Range<Int>) {
    unsafe UnsafeMutableRawBufferPointer(rebasing: memory.bytes[range])
      .initializeMemory(as: UInt8.self, repeating: 0)
  }

  func operation(block: Int) -> DiskOperation {
    let size = writtenBytes(block: block)
    clear((start + used)..<(start + size))
    let range = (opensFile ? start - block : start)..<(start + size)
    return .write(
      file, position: opensFile ? 0 : position, [DiskBytes(memory, range)], durable: true)
  }
}
