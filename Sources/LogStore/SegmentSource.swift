internal import Bytes
package import Platform
internal import Records

/// The bytes of one segment: what is in memory, its newest bytes and what was read of the others,
/// lies over what is in its file.
struct SegmentSource {
  private let disk: any Disk
  private let tail: SegmentTail?
  private let reads: SegmentReads?
  /// Used for what is in memory when that goes, however late.
  private let files: SegmentFiles?
  /// The file, open for reading through the page cache; opened when it is needed.
  private let file: () throws(DiskError) -> OpenFile

  /// A segment of which a part may be in memory.
  init(
    _ disk: any Disk, _ segment: Segment, _ files: SegmentFiles,
    file: @escaping () throws(DiskError) -> OpenFile
  ) {
    self.disk = disk
    tail = segment.tail
    reads = segment.reads
    self.files = files
    self.file = file
  }

  /// A segment that is only in its file.
  init(_ file: OpenFile, _ disk: any Disk) {
    self.disk = disk
    tail = nil
    reads = nil
    files = nil
    self.file = { () throws(DiskError) in file }
  }

  /// Up to `count` bytes; fewer at the end of the file.
  func read(_ position: Int64, _ count: Int) throws(DiskError) -> [UInt8] {
    var bytes: [UInt8] = []
    let limit = position + Int64(count)
    for piece in try pieces(position..<limit) {
      let part = try piece.copied(disk)
      if bytes.isEmpty { bytes = part } else { bytes += part }
      if part.count < piece.count { break }
    }
    return bytes
  }

  /// As `read`, copied once. All of the range must be there.
  func copied(_ range: Range<Int64>) throws(DiskError) -> [UInt8] {
    let pieces = try pieces(range)
    var failure: DiskError?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      let memory = UnsafeMutableRawBufferPointer(buffer)
      do throws(DiskError) {
        for piece in pieces {
          let part = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[count...])
          switch try piece.bytes(disk) {
          case .memory(let memory, let range):
            unsafe part.copyMemory(
              from: UnsafeRawBufferPointer(rebasing: memory.bytes[range]))
          case .file(let file, let position, let size):
            let read = try disk.read(file.id, position, size)
            guard read.count == size else {
              throw .failed("reading \(size) bytes at \(position) of a segment", errno: 5)
            }
            unsafe part.copyBytes(from: read)
          }
          count += piece.count
        }
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// The header at `position`, without reading ahead.
  func header(at position: Int64) throws(DiskError) -> RecordBatchHeader? {
    try? RecordBatchHeader(try read(position, RecordBatchHeader.size)[...])
  }

  func pieces(_ range: Range<Int64>) throws(DiskError) -> [LogSlice.Piece] {
    var pieces: [LogSlice.Piece] = []
    var position = range.lowerBound
    while position < range.upperBound {
      let (place, end) = try place(at: position, limit: range.upperBound)
      pieces.append(
        LogSlice.Piece(place: place, position: position, count: Int(end - position)))
      position = end
    }
    return pieces
  }

  /// The runs of bytes in the range that are in the file and not in the tail's memory.
  func inFile(_ range: Range<Int64>) throws(DiskError) -> [Range<Int64>] {
    guard let tail else { return [range] }
    var runs: [Range<Int64>] = []
    var position = range.lowerBound
    while position < range.upperBound {
      let (piece, end) = try tail.piece(at: position, limit: range.upperBound)
      if case .file = piece { runs.append(position..<end) }
      position = end
    }
    return runs
  }

  private func place(
    at position: Int64, limit: Int64
  ) throws(DiskError) -> (LogSlice.Place, end: Int64) {
    var limit = limit
    guard let files else { return (.file(try file()), limit) }
    if let tail {
      let (piece, end) = try tail.piece(at: position, limit: limit)
      if case .memory(let chunk) = piece { return (.memory(chunk, files), end) }
      limit = end
    }
    if let reads {
      if let block = reads.block(at: position), block.isThere {
        return (.memory(block, files), min(block.valid.upperBound, limit))
      }
      // Of the next block there may be something.
      limit = min(limit, (position / reads.blockBytes + 1) * reads.blockBytes)
    }
    return (.file(try file()), limit)
  }
}

/// Batches one after another, to be read or sent from where they are.
package struct LogSlice {
  package let pieces: [Piece]
  /// Bytes. The last batch may be cut short.
  package let count: Int
  /// It ends where it does for our own reasons, and who asks again finds more at once.
  package let hasMore: Bool

  init(_ pieces: [Piece], hasMore: Bool) {
    self.pieces = pieces
    self.hasMore = hasMore
    count = pieces.reduce(0) { $0 + $1.count }
  }

  enum Place {
    /// And the files that have the bytes when the memory has gone to others.
    case memory(MemoryRun, SegmentFiles)
    /// Stays open for as long as it is held.
    case file(OpenFile)
  }

  /// A run of bytes that is in one place. It does not keep memory from being used for newer bytes:
  /// those that are written are read from the file then.
  package struct Piece {
    let place: Place
    let position: Int64
    package let count: Int

    package var isInFile: Bool { if case .file = place { true } else { false } }

    /// Where the bytes are now. The answer holds until the store is called again.
    package func bytes(_ disk: any Disk) throws(DiskError) -> LogBytes {
      switch place {
      case .file(let file): return .file(file, position: position, count: count)
      case .memory(let run, let files):
        if let memory = run.memory {
          let first = Int(position - run.start)
          return .memory(memory, first..<first + count)
        }
        guard !run.isLost else { throw .failed("reading what the disk did not take", errno: 5) }
        return .file(try files.forReading(disk), position: position, count: count)
      }
    }

    /// Without its first bytes.
    package func dropFirst(_ bytes: Int) -> Piece {
      Piece(place: place, position: position + Int64(bytes), count: count - bytes)
    }

    func copied(_ disk: any Disk) throws(DiskError) -> [UInt8] {
      switch try bytes(disk) {
      case .memory(let memory, let range): return unsafe Array(memory.bytes[range])
      case .file(let file, let position, let count):
        return try disk.read(file.id, position, count)
      }
    }
  }

  /// A copy of all bytes.
  package func bytes(_ disk: any Disk) throws(DiskError) -> [UInt8] {
    var bytes: [UInt8] = []
    for piece in pieces {
      let part = try piece.copied(disk)
      if bytes.isEmpty { bytes = part } else { bytes += part }
    }
    return bytes
  }
}

/// Where bytes of a log are at a moment.
package enum LogBytes {
  case memory(BlockMemory, Range<Int>)
  case file(OpenFile, position: Int64, count: Int)
}
