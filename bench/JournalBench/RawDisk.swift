import CLinux
import Glibc
import Platform

/// What the disk itself can do, past the page cache, one write at a time: what a log is compared
/// with. One thread has it at a time.
final class RawDisk: @unchecked Sendable {
  /// More than what a disk's own cache takes, as far as we can afford.
  static let fileBytes = 2 << 30
  /// What a burst writes.
  static let burstBytes = 256 << 20
  private let path: String
  private let file: Int32

  /// Makes a file of real zeros: a write inside it changes no metadata.
  init(directory: String, name: String = "raw") throws {
    path = "\(directory)/\(name)"
    file = unsafe martlet_open(path, O_RDWR | O_CREAT | O_EXCL | martlet_direct_flag(), 0o600)
    guard file >= 0 else { throw DiskError.failed("opening \(path)", errno: errno) }
    _ = try sustained(bytes: Self.fileBytes)
  }

  deinit {
    close(file)
    unsafe unlink(path)
  }

  /// Bytes that nothing below us can take a short way with.
  private static func noise(_ count: Int) -> BlockMemory {
    let memory = BlockMemory(count: count)
    var random = SystemRandomNumberGenerator()
    for index in stride(from: 0, to: count, by: 8) {
      unsafe memory.bytes.storeBytes(of: random.next(), toByteOffset: index, as: UInt64.self)
    }
    return memory
  }

  private func write(_ memory: BlockMemory, _ count: Int, at position: Int) throws {
    guard unsafe pwrite(file, memory.bytes.baseAddress, count, position) == count else {
      throw DiskError.failed("writing \(path)", errno: errno)
    }
  }

  private func sync() throws {
    guard fdatasync(file) == 0 else { throw DiskError.failed("syncing \(path)", errno: errno) }
  }

  /// Times of small durable writes, one after another.
  func latency(writes: Int, bytes: Int = 4096) throws -> Percentiles {
    let memory = Self.noise(bytes)
    var times: [UInt64] = []
    for number in 0..<writes {
      let start = MonotonicClock.nanoseconds()
      try write(memory, bytes, at: number * bytes % Self.fileBytes)
      try sync()
      times.append(MonotonicClock.nanoseconds() - start)
    }
    return Percentiles(nanoseconds: times)
  }

  /// Bytes per second of large writes, one synced after another, for so long or so many bytes: what
  /// the disk does when its caches help no more.
  func sustained(seconds: Double = 1000, bytes: Int = .max) throws -> Double {
    let writeBytes = 4 << 20
    let memory = Self.noise(writeBytes)
    let start = MonotonicClock.nanoseconds()
    var written = 0
    var elapsed = 0.0
    while elapsed < seconds, written < bytes {
      try write(memory, writeBytes, at: written % Self.fileBytes)
      try sync()
      written += writeBytes
      elapsed = Double(MonotonicClock.nanoseconds() - start) / 1e9
    }
    return Double(written) / elapsed
  }

  /// As `sustained`, while somebody else writes to another file and syncs nothing, as segments are
  /// written beside a journal: bytes per second of both.
  static func pair(directory: String, seconds: Double) throws -> Double {
    let journal = try RawDisk(directory: directory)
    let segments = try RawDisk(directory: directory, name: "raw-beside")
    let isOver = Condition(false)
    let beside = Condition<Result<Double, any Error>?>(nil)
    Thread.start("raw") {
      let result = Result { try segments.unsynced { isOver.withLock { $0 } } }
      beside.withLock { $0 = result }
      beside.signal()
    }
    let one = try journal.sustained(seconds: seconds)
    isOver.withLock { $0 = true }
    let other = beside.wait(until: { $0 != nil }) { $0 }
    return try one + (other?.get() ?? 0)
  }

  /// Bytes per second of writes of 1 MiB, without a sync, until it is over.
  private func unsynced(until isOver: () -> Bool) throws -> Double {
    let memory = Self.noise(2 << 20)
    let start = MonotonicClock.nanoseconds()
    var written = 0
    while !isOver() {
      try write(memory, 1 << 20, at: written % Self.fileBytes)
      written += 1 << 20
    }
    return Double(written) / Double(MonotonicClock.nanoseconds() - start) * 1e9
  }

  /// Bytes per second of large writes, from the beginning of the file to its end, and one sync or
  /// one each.
  func bandwidth(writeBytes: Int, syncEach: Bool = false) throws -> Double {
    let memory = Self.noise(writeBytes)
    let start = MonotonicClock.nanoseconds()
    for position in stride(from: 0, to: Self.burstBytes, by: writeBytes) {
      try write(memory, writeBytes, at: position)
      if syncEach { try sync() }
    }
    try sync()
    return Double(Self.burstBytes) / Double(MonotonicClock.nanoseconds() - start) * 1e9
  }
}
