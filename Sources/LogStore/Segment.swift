internal import Bytes
package import Platform
internal import Records

/// A run of a log's batches in one file, named after the offset it begins with.
///
///     open ──roll──▶ closed ──checkpoint──▶ closed and durable
///
/// Only the last segment of a log is open; nothing is ever added to a closed one. As long as a
/// segment is not durable as a whole, its files stay open, so that a write error the kernel reports
/// late is not lost, and its index stays in memory.
struct Segment {
  let base: Offset
  /// Bytes that belong to it, those still on their way to the file included.
  var size: Int64 = 0
  var maxTimestamp = Timestamp(-1)
  /// When its first batch was appended, ms since 1970; nil while it is empty.
  var firstAppended: Int64?
  var index = SegmentIndex()
  var verified = VerifiedRegions()
  /// Entries of the index, and their CRC, as they are in the file or on their way there.
  var indexWritten = 0
  var indexCRC = CRC32C()
  /// Bytes since the last index entry.
  private(set) var bytesSinceEntry = 0
  var isClosed = false
  /// Counts what was taken away again: a segment of the same size may be another.
  private(set) var truncations = 0
  /// Its files, until it is durable as a whole.
  var files: SegmentFiles?
  /// The files are there, or the work that makes them is on its way.
  var hasFile = false
  var hasIndexFile = false
  /// Its newest bytes, if any were appended since the store was opened.
  var tail: SegmentTail?
  /// What was read of it into memory, if anything was.
  var reads: SegmentReads?

  init(base: Offset) {
    self.base = base
  }

  /// Notes a batch that goes to the end of the segment.
  mutating func add(_ header: RecordBatchHeader, interval: Int, now: Int64) {
    // Also the first batch has an entry: a lookup by time need not treat it apart.
    if size == 0 || bytesSinceEntry >= interval {
      index.append(
        SegmentIndex.Entry(
          relativeOffset: UInt32(truncatingIfNeeded: header.baseOffset - base),
          position: UInt32(truncatingIfNeeded: size),
          maxTimestampBefore: maxTimestamp.rawValue))
      bytesSinceEntry = 0
    }
    bytesSinceEntry += header.batchSize
    size += Int64(header.batchSize)
    maxTimestamp = max(maxTimestamp, header.maxTimestamp)
    if firstAppended == nil { firstAppended = now }
  }

  /// Room for `bytes` more, ending with `lastOffset`? Positions and offsets in the index are 32
  /// bits wide.
  func hasRoom(for bytes: Int, lastOffset: Offset, segmentBytes: Int64) -> Bool {
    size == 0
      || (size + Int64(bytes) <= min(segmentBytes, Int64(Int32.max))
        && lastOffset - base <= Int64(Int32.max))
  }

  /// Takes away what is at or after `position`. `maxTimestamp` may stay too high, which makes a
  /// search by time look here in vain and retention wait, and nothing worse.
  mutating func truncate(to position: Int64) {
    truncations += 1
    size = position
    verified.truncate(to: position)
    tail?.truncate(to: position)
    // Other bytes may come to the same places.
    reads = nil
    index.truncate(to: position)
    if indexWritten > index.count {
      indexWritten = index.count
      indexCRC = CRC32C()
      indexCRC.update(index.encoded(from: 0)[...])
    }
    bytesSinceEntry = index.entries.last.map { Int(position) - Int($0.position) } ?? 0
  }

  /// The index entries that are not in the file yet; from now on they count as written.
  mutating func takeUnwrittenIndex() -> (position: Int64, bytes: [UInt8])? {
    guard indexWritten < index.count else { return nil }
    let position = Int64(indexWritten * SegmentIndex.Entry.size)
    let bytes = index.encoded(from: indexWritten)
    indexWritten = index.count
    indexCRC.update(bytes[...])
    return (position, bytes)
  }

  func dataPath(_ log: LogID) -> String { Self.path(log, base, "log") }
  func indexPath(_ log: LogID) -> String { Self.path(log, base, "index") }

  static func path(_ log: LogID, _ base: Offset, _ kind: String) -> String {
    let digits = String(base.rawValue)
    let padding = String(repeating: "0", count: max(0, 20 - digits.count))
    return "\(directory(log))/\(padding)\(digits).\(kind)"
  }

  static func directory(_ log: LogID) -> String { "logs/\(log)" }

  /// What a deleted log's directory is called until its files are gone.
  static func leftDirectory(_ log: LogID) -> String { directory(log) + leftSuffix }
  static let leftSuffix = ".left"
}

/// The open files of one segment. Work on files holds them, not their segment, which may be gone by
/// the time the work is done: what was durable in the journal and is claimed by a checkpoint has to
/// reach the files, whatever was truncated since.
final class SegmentFiles {
  let log: LogID
  let base: Offset
  /// For writing, past the page cache. Opened when there is something to write.
  var data: OpenFile?
  /// `data` is open, or the work that opens it is on its way.
  var opensData = false
  /// For reading, through the page cache, and for recovery.
  var reading: OpenFile?
  /// For reading past the page cache, if `data` is not open.
  private var readingDirect: OpenFile?
  var index: OpenFile?

  init(log: LogID, base: Offset) {
    self.log = log
    self.base = base
  }

  var dataPath: String { Segment.path(log, base, "log") }
  var indexPath: String { Segment.path(log, base, "index") }
  /// Whichever is open: for what is done to the file as a whole.
  var anyData: OpenFile? { data ?? reading }

  /// Opens the segment's file now if it is not open for reading.
  func forReading(_ disk: any Disk) throws(DiskError) -> OpenFile {
    if let reading { return reading }
    let file = OpenFile(try disk.openFile(dataPath, .existing), disk)
    reading = file
    return file
  }

  /// As above, past the page cache.
  func forReadingDirect(_ disk: any Disk) throws(DiskError) -> OpenFile {
    if let open = data ?? readingDirect { return open }
    let file = OpenFile(try disk.openFile(dataPath, .existing, direct: true), disk)
    readingDirect = file
    return file
  }
}

/// An open file that is closed when nobody uses it any more.
package final class OpenFile {
  package let id: FileID
  private let disk: any Disk

  init(_ id: FileID, _ disk: any Disk) {
    self.id = id
    self.disk = disk
  }

  deinit {
    // Closing fails only for a file that is not open.
    _ = try? disk.perform(.close(id))
  }
}
