internal import CLinux
internal import Glibc

/// Does disk operations by system calls, relative to a directory that is held open.
///
/// EINTR is retried, short reads and writes are continued. EBADF and EFAULT are our own mistakes
/// and stop the program. A failed sync is reported and never repeated.
struct FileSystemCall: Sendable {
  let root: Int32

  func perform(_ operation: DiskOperation) throws(DiskError) -> DiskResult {
    switch operation {
    case .makeDirectory(let path):
      unsafe try check(mkdirat(root, path, 0o755), "making directory \(path)")
    case .list(let directory):
      return .names(try list(directory))
    case .syncDirectory(let path):
      try syncDirectory(path)
    case .removeDirectory(let path):
      unsafe try check(unlinkat(root, path, AT_REMOVEDIR), "removing directory \(path)")
    case .removeTree(let path):
      for name in try list(path) {
        unsafe try check(unlinkat(root, "\(path)/\(name)", 0), "removing \(path)/\(name)")
      }
      unsafe try check(unlinkat(root, path, AT_REMOVEDIR), "removing directory \(path)")
    case .open(let path, let mode, let direct):
      return .file(try open(path, mode, direct: direct))
    case .close(let file):
      // The descriptor is gone whatever close says; what was written was synced before.
      Glibc.close(file.rawValue)
    case .rename(let from, let to):
      unsafe try check(renameat(root, from, root, to), "renaming \(from) to \(to)")
    case .delete(let path):
      unsafe try check(unlinkat(root, path, 0), "deleting \(path)")
    case .allocate(let file, let bytes):
      try allocate(file, bytes)
    case .write(let file, let position, let parts, let durable):
      try write(file, position, parts)
      if durable { try check(fdatasync(file.rawValue), "syncing a journal file") }
    case .read(let file, let position, let count):
      return .bytes(try read(file, position, count))
    case .load(let file, let position, let part):
      let room = unsafe UnsafeMutableRawBufferPointer(rebasing: part.memory.bytes[part.range])
      return .count(Int64(unsafe try read(file, position, room)))
    case .sync(let file):
      try check(fdatasync(file.rawValue), "syncing a file")
    case .truncate(let file, let size):
      try check(ftruncate(file.rawValue, Int(size)), "truncating a file to \(size) bytes")
    case .size(let file):
      return .count(Int64(try status(file).st_size))
    case .map(let file, let count):
      return .mapping(try map(file, count))
    case .freeSpace:
      return .count(try freeSpace())
    case .populate(let part):
      part.memory.populate(part.range)
    }
    return .done
  }

  private func check(_ result: Int32, _ what: @autoclosure () -> String) throws(DiskError) {
    guard result != 0 else { return }
    throw failure(errno, what())
  }

  private func failure(_ errno: Int32, _ what: String) -> DiskError {
    switch errno {
    case ENOSPC, EDQUOT: return .noSpace(what)
    // Passes as a full disk does: what waits is tried again, and no log fails for it.
    case EMFILE, ENFILE: return .noSpace("\(what): too many files are open, raise 'ulimit -n'")
    case ENOENT: return .notFound(what)
    case EEXIST: return .alreadyExists(what)
    case EBADF, EFAULT: fatalError("\(what): \(errorText(errno)), our own mistake")
    default: return .failed(what, errno: errno)
    }
  }

  private func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> FileID {
    var flags = O_RDWR | O_CLOEXEC
    switch mode {
    case .create: flags |= O_CREAT | O_EXCL
    case .existing: break
    }
    var file = unsafe martlet_openat(
      root, path, direct ? flags | martlet_direct_flag() : flags, 0o644)
    if file < 0, errno == EINVAL, direct {
      // A file system without direct I/O (tmpfs): the page cache and fdatasync do.
      file = unsafe martlet_openat(root, path, flags & ~O_EXCL, 0o644)
    }
    guard file >= 0 else { throw failure(errno, "opening \(path)") }
    return FileID(file)
  }

  private func list(_ path: String) throws(DiskError) -> [String] {
    let file = unsafe martlet_openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    guard file >= 0 else { throw failure(errno, "listing \(path)") }
    guard let directory = unsafe fdopendir(file) else { throw failure(errno, "listing \(path)") }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  private func syncDirectory(_ path: String) throws(DiskError) {
    let file = unsafe martlet_openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    guard file >= 0 else { throw failure(errno, "opening directory \(path)") }
    defer { Glibc.close(file) }
    try check(fsync(file), "syncing directory \(path)")
  }

  /// Writes real zeros: blocks that are only reserved (fallocate) are marked as written by the
  /// first write to each, which costs every fdatasync of a journal a metadata commit.
  ///
  /// Every megabyte is synced: a disk flushes all it has, whoever asks, and a commit that comes
  /// meanwhile is to wait for one megabyte and not for the whole file.
  private func allocate(_ file: FileID, _ bytes: Int64) throws(DiskError) {
    let zeros = BlockMemory(count: 1 << 20)
    var position: Int64 = 0
    while position < bytes {
      let count = Int(min(Int64(zeros.count), bytes - position))
      try write(file, position, [DiskBytes(zeros, 0..<count)])
      try check(fdatasync(file.rawValue), "syncing a new file")
      position += Int64(count)
    }
    try check(fsync(file.rawValue), "syncing a new file")
  }

  private func write(
    _ file: FileID, _ position: Int64, _ parts: [DiskBytes]
  ) throws(DiskError) {
    var vectors = unsafe parts.filter { !$0.range.isEmpty }.map { part in
      let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: part.memory.bytes[part.range])
      return unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
    }
    var position = position
    var first = 0
    while unsafe first < vectors.count {
      let count = unsafe min(vectors.count - first, 1024)  // IOV_MAX
      let written = unsafe vectors.withUnsafeBufferPointer { all in
        unsafe pwritev(
          file.rawValue, all.baseAddress.map { unsafe $0 + first }, Int32(count), Int(position))
      }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else {
        throw failure(written == 0 ? ENOSPC : errno, "writing to a file at byte \(position)")
      }
      position += Int64(written)
      var left = written
      while unsafe first < vectors.count, unsafe left >= vectors[first].iov_len {
        unsafe left -= vectors[first].iov_len
        first += 1
      }
      if left > 0 {
        unsafe vectors[first].iov_base += left
        unsafe vectors[first].iov_len -= left
      }
    }
    // The iovecs hold bare pointers; the memory must live until here.
    withExtendedLifetime(parts) {}
  }

  private func read(
    _ file: FileID, _ position: Int64, _ count: Int
  ) throws(DiskError) -> [UInt8] {
    let flags = fcntl(file.rawValue, F_GETFL)
    guard flags & martlet_direct_flag() != 0 else {
      var failed: DiskError?
      let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        do throws(DiskError) {
          unsafe initialized = try read(file, position, UnsafeMutableRawBufferPointer(buffer))
        } catch {
          failed = error
        }
      }
      if let failed { throw failed }
      return bytes
    }
    // Direct reads want aligned memory.
    let memory = BlockMemory(count: max(count, 1))
    let got = unsafe try read(file, position, memory.bytes)
    return unsafe Array(memory.bytes[..<min(got, count)])
  }

  private func read(
    _ file: FileID, _ position: Int64, _ buffer: UnsafeMutableRawBufferPointer
  ) throws(DiskError) -> Int {
    var got = 0
    while got < buffer.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[got...])
      let count = unsafe pread(file.rawValue, rest.baseAddress, rest.count, Int(position) + got)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(errno, "reading a file at byte \(position)") }
      if count == 0 { break }
      got += count
    }
    return got
  }

  private func status(_ file: FileID) throws(DiskError) -> stat {
    var status = stat()
    try check(unsafe fstat(file.rawValue, &status), "asking for the size of a file")
    return status
  }

  private func map(_ file: FileID, _ count: Int) throws(DiskError) -> Mapping {
    guard count > 0 else { return Mapping(copying: []) }
    let size = try status(file).st_size
    guard count <= size else { throw .failed("mapping \(count) of \(size) bytes", errno: EINVAL) }
    let base = unsafe mmap(nil, count, PROT_READ, MAP_SHARED, file.rawValue, 0)
    guard let base = unsafe base, unsafe base != MAP_FAILED else {
      throw failure(errno, "mapping a file")
    }
    let mapping = unsafe Mapping(base: base, count: count)
    // Reads every page now: an unreadable one is this call's errno and not a later SIGBUS.
    guard unsafe madvise(base, count, 22) == 0 else {  // MADV_POPULATE_READ, Linux 5.14
      throw failure(errno, "reading a file into memory")
    }
    return mapping
  }

  private func freeSpace() throws(DiskError) -> Int64 {
    var status = statvfs()
    try check(unsafe fstatvfs(root, &status), "asking for free space")
    return Int64(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize))
  }
}
