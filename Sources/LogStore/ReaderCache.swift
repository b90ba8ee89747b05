internal import Bytes
internal import Platform

/// Files and indices of closed segments that were read lately, so that a reader of old records need
/// not open them anew for each read. The one used longest ago makes room.
struct ReaderCache {
  struct Key: Hashable {
    var log: LogID
    var base: Offset
  }

  struct Reader {
    var file: OpenFile
    /// Past the page cache, if it was needed.
    fileprivate(set) var direct: OpenFile?
    var index: MappedIndex?
    fileprivate var used: UInt64
  }

  var filesMax = 512
  private var readers: [Key: Reader] = [:]
  private var clock: UInt64 = 0

  mutating func find(_ key: Key) -> Reader? {
    guard readers[key] != nil else { return nil }
    clock += 1
    readers[key]?.used = clock
    return readers[key]
  }

  mutating func add(_ key: Key, _ file: OpenFile, _ index: MappedIndex?) {
    if readers.count >= filesMax,
      let oldest = readers.min(by: { $0.value.used < $1.value.used })?.key
    {
      readers[oldest] = nil
    }
    clock += 1
    readers[key] = Reader(file: file, index: index, used: clock)
  }

  mutating func setDirect(_ key: Key, _ file: OpenFile) { readers[key]?.direct = file }

  mutating func forget(_ log: LogID, below offset: Offset = Offset(.max)) {
    readers = readers.filter { $0.key.log != log || $0.key.base >= offset }
  }
}
