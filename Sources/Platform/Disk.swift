/// Files as values: what to do is a `DiskOperation`, what came of it a `DiskResult`.
///
/// A log never calls the kernel. It gives operations to a disk and is told later what became of
/// them, so that the same log runs on a real file system (`FileDisk`), and on one that lives in
/// memory, tears writes and loses power (`VirtualDisk` in Simulation).
///
/// (1) Operations submitted one after another may be done in any order and at the same time. Who
///     needs an order waits for the first completion before submitting the second.
/// (2) What was written is durable only after a `sync` of that file that was submitted after the
///     write completed, or after the completion of a write that asked for `durable`.
/// (3) A name (created, renamed, deleted) is durable only after a `syncDirectory` of its directory.
/// (4) After a failed `sync` the file's unsynced bytes are lost, even if a later `sync` succeeds:
///     the kernel reports the error once and drops the pages. Never sync again.
///
/// All paths are relative to the directory that the disk was made with.
package protocol Disk: AnyObject {
  /// Does the operation now, on the caller's thread. For opening and recovery, when nothing else
  /// runs, and for what does not block.
  func perform(_ operation: DiskOperation) throws(DiskError) -> DiskResult

  /// Does all of them now, in any order and at the same time, and throws the first error when all
  /// have ended. For opening and recovery, when nothing else was submitted.
  func performAll(_ operations: [DiskOperation]) throws(DiskError)

  /// Does the operation some time; its completion comes back through the disk's owner.
  func submit(_ operation: DiskOperation, _ token: DiskToken)
}

/// Names a file that a disk holds open.
package struct FileID: Hashable, Sendable {
  package let rawValue: Int32

  package init(_ rawValue: Int32) { self.rawValue = rawValue }
}

/// Names a submitted operation; chosen by the submitter.
package struct DiskToken: Hashable, Sendable {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A part of memory that nobody else touches until the operation that carries it has completed:
/// what is written stays as it is, what is read into is the disk's.
package struct DiskBytes: Sendable {
  package let memory: BlockMemory
  package let range: Range<Int>

  package init(_ memory: BlockMemory, _ range: Range<Int>) {
    guard range.lowerBound >= 0, range.upperBound <= memory.count else {
      fatalError("the part \(range) is outside of its memory of \(memory.count) bytes")
    }
    self.memory = memory
    self.range = range
  }
}

/// How a file is opened.
package enum OpenMode: Sendable {
  /// Must not exist.
  case create
  /// Must exist.
  case existing
}

package enum DiskOperation: Sendable {
  case makeDirectory(String)
  case list(directory: String)
  case syncDirectory(String)
  case removeDirectory(String)
  /// Removes a directory with the files in it.
  case removeTree(String)

  /// With `direct`, reads and writes bypass the page cache and must be block-aligned.
  case open(String, OpenMode, direct: Bool)
  case close(FileID)
  case rename(from: String, to: String)
  case delete(String)

  /// Extends the file to `bytes` with zeros that are written out, and makes it durable, so that a
  /// later write inside it changes no metadata.
  case allocate(FileID, bytes: Int64)
  /// Writes all parts one after another from `position` on. With `durable`, completes after the
  /// bytes and the size they need are on the disk.
  case write(FileID, position: Int64, [DiskBytes], durable: Bool)
  /// Reads up to `count` bytes; fewer at the end of the file.
  case read(FileID, position: Int64, count: Int)
  /// Reads into memory, as much as there is room for; less at the end of the file. Answers with the
  /// count.
  case load(FileID, position: Int64, DiskBytes)
  case sync(FileID)
  case truncate(FileID, size: Int64)
  case size(FileID)
  /// Maps a file that nobody will shorten for as long as it is mapped.
  case map(FileID, count: Int)
  /// Bytes that the file system has left for us.
  case freeSpace
  /// Touches memory, so that its owner does not wait for the system to find and clear it.
  case populate(DiskBytes)
}

package enum DiskResult: Sendable {
  case done
  case file(FileID)
  case names([String])
  case bytes([UInt8])
  case count(Int64)
  case mapping(Mapping)
}

package struct DiskCompletion: Sendable {
  package let token: DiskToken
  package let result: Result<DiskResult, DiskError>

  package init(_ token: DiskToken, _ result: Result<DiskResult, DiskError>) {
    self.token = token
    self.result = result
  }
}

/// Why the file system did not do it.
package enum DiskError: Error, Equatable, Sendable {
  /// No space or quota left; nothing or a part was written.
  case noSpace(String)
  case notFound(String)
  case alreadyExists(String)
  /// Anything else, by errno. After one of these on a write or sync, what was written is in doubt.
  case failed(String, errno: Int32)
  /// The virtual disk lost power: nothing is answered any more.
  case powerLost
}

extension DiskError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .noSpace(let what): "no space left for \(what)"
    case .notFound(let what): "\(what) is not there"
    case .alreadyExists(let what): "\(what) is there already"
    case .failed(let what, errno: 0): "\(what) failed"
    case .failed(let what, let errno): "\(what) failed: \(errorText(errno))"
    case .powerLost: "the power is off"
    }
  }
}

extension Disk {
  package func openFile(
    _ path: String, _ mode: OpenMode, direct: Bool = false
  ) throws(DiskError) -> FileID {
    guard case .file(let file) = try perform(.open(path, mode, direct: direct)) else {
      fatalError("open answers with a file")
    }
    return file
  }

  package func read(_ file: FileID, _ position: Int64, _ count: Int) throws(DiskError) -> [UInt8] {
    let result = try perform(.read(file, position: position, count: count))
    guard case .bytes(let bytes) = result else { fatalError("read answers with bytes") }
    return bytes
  }

  package func size(_ file: FileID) throws(DiskError) -> Int64 {
    guard case .count(let size) = try perform(.size(file)) else {
      fatalError("size answers with a count")
    }
    return size
  }

  /// Names in a directory, sorted.
  package func names(in directory: String) throws(DiskError) -> [String] {
    guard case .names(let names) = try perform(.list(directory: directory)) else {
      fatalError("list answers with names")
    }
    return names
  }

  package func freeSpace() throws(DiskError) -> Int64 {
    guard case .count(let bytes) = try perform(.freeSpace) else {
      fatalError("freeSpace answers with a count")
    }
    return bytes
  }

  package func map(_ file: FileID, count: Int) throws(DiskError) -> Mapping {
    guard case .mapping(let mapping) = try perform(.map(file, count: count)) else {
      fatalError("map answers with a mapping")
    }
    return mapping
  }
}
