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
  func sustained(
    seconds: Double = 1000, bytes: Int = .max, noted: (Int) -> Void = { _ in }
  ) throws -> Double {
    let writeBytes = 4 << 20
    let memory = Self.noise(writeBytes)
    let start = MonotonicClock.nanoseconds()
    var written = 0
    var elapsed = 0.0
    while elapsed < seconds, written < bytes {
      try write(memory, writeBytes, at: written % Self.fileBytes)
      try sync()
      written += writeBytes
      noted(written)
      elapsed = Double(MonotonicClock.nanoseconds() - start) / 1e9
    }
    return Double(written) / elapsed
  }

  /// Bytes per second of direct writes to files that are new, and removed when they are full: where
  /// blocks were never written, or were given back (`mount -o discard`), writing costs more than
  /// where they were. Until it is over, and never more bytes than `limit` allows.
  private static func renewed(
    _ path: String, fileBytes: Int, writeBytes: Int, isOver: (Int) -> Bool,
    limit: (Int) -> Bool = { _ in true }
  ) throws -> Double {
    let memory = noise(writeBytes)
    let start = MonotonicClock.nanoseconds()
    var written = 0
    while !isOver(written) {
      let file = unsafe martlet_open(path, O_RDWR | O_CREAT | O_EXCL | martlet_direct_flag(), 0o600)
      guard file >= 0 else { throw DiskError.failed("opening \(path)", errno: errno) }
      defer {
        close(file)
        unsafe unlink(path)
      }
      for position in stride(from: 0, to: fileBytes, by: writeBytes) where !isOver(written) {
        while !limit(written), !isOver(written) { usleep(100) }
        guard unsafe pwrite(file, memory.bytes.baseAddress, writeBytes, position) == writeBytes
        else { throw DiskError.failed("writing \(path)", errno: errno) }
        written += writeBytes
      }
    }
    return Double(written) / Double(MonotonicClock.nanoseconds() - start) * 1e9
  }

  /// Bytes per second of large writes to a file that grows.
  static func growing(directory: String, bytes: Int = fileBytes) throws -> Double {
    try renewed(
      "\(directory)/raw-new", fileBytes: bytes, writeBytes: 4 << 20, isOver: { $0 >= bytes })
  }

  /// What a log must do, and nothing else: one stream of synced writes over a file that is there
  /// (the journal), while four threads write as many bytes, unsynced, to new files of 32 MiB
  /// (segments). Bytes per second of the journal.
  static func asALog(directory: String, seconds: Double) throws -> Double {
    let journal = try RawDisk(directory: directory)
    let beside = 4
    let state = Condition((isOver: false, journal: 0, segments: 0, ended: 0))
    for number in 0..<beside {
      Thread.start("raw-\(number)") {
        // A disk that fails ends the journal's writes too, and is said there.
        _ = try? renewed(
          "\(directory)/raw-segment-\(number)", fileBytes: 32 << 20, writeBytes: 1 << 20,
          isOver: { _ in state.withLock { $0.isOver } },
          limit: { _ in
            state.withLock {
              guard $0.segments < $0.journal + (8 << 20) else { return false }
              $0.segments += 1 << 20
              return true
            }
          })
        state.withLock { $0.ended += 1 }
        state.signal()
      }
    }
    let result = Result {
      try journal.sustained(seconds: seconds) { written in state.withLock { $0.journal = written } }
    }
    state.withLock { $0.isOver = true }
    state.wait(until: { $0.ended == beside }) { _ in }
    return try result.get()
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
