internal import Bytes
package import Platform

/// A disk in memory that fails like a real one, and only when told to.
///
/// Three layers: what is durable; what was written and not synced (volatile); what was submitted
/// and not done yet (in flight). A crash is a copy: `afterPowerCut` is the disk that the machine
/// finds when it comes up again, `afterKill` the one that the next process finds.
///
/// (1) A power cut keeps any subset of what is volatile or in flight, sector by sector; truncations
///     are kept or not as a whole. So later writes may survive earlier ones.
/// (2) Names are volatile on their own: of the changes in one directory a power cut keeps some
///     first ones. Syncing a file does not make its name durable.
/// (3) A kill keeps all that is volatile, which is still volatile then, and does or does not do
///     what is in flight.
/// (4) A sync that fails leaves the file looking written, and clean: the next sync succeeds and
///     makes nothing durable.
///
/// (5) A direct read does not see what only looks written, after a failed sync.
/// (6) A direct read or write that is not aligned to sectors, in the file or in memory, stops the
///     program.
///
/// Operations are done when the owner says so: in any order (`step`), or as simulated time goes by
/// (`advance`, see DiskFaults.swift).
package final class VirtualDisk: Disk {
  package static let sectorBytes = 512

  /// Asked before each operation: an error makes it fail so.
  package var fault: ((DiskOperation) -> DiskError?)?
  /// Called before each operation, with how many were done before: for crashing there.
  package var willPerform: ((VirtualDisk, Int) -> Void)?
  /// What is wrong with it now.
  package var faults = Faults()
  /// Bytes that fit; nil is no limit.
  package var capacity: Int64? {
    get { faults.capacity }
    set { faults.capacity = newValue }
  }
  package private(set) var operationsDone = 0
  /// Submitted, not done yet, by when they are due.
  package private(set) var inFlight: [InFlight] = []

  package typealias InFlight = (operation: DiskOperation, token: DiskToken, due: Int64)

  /// Nil for a disk without a clock: all is due at once.
  private var isTimed: Bool
  var now: Int64 = 0
  var random: SeededGenerator
  /// When what was last submitted of each lane is done.
  var laneEnds: [Int64] = [0, 0]

  private let root: Directory
  /// Of all files; nil if something has changed since they were counted.
  private var bytesCounted: Int?
  private var open: [FileID: File] = [:]
  private var paths: [FileID: String] = [:]
  private var direct: Set<FileID> = []
  private var nextFile: Int32 = 0

  /// A disk without a clock.
  package convenience init() { self.init(root: Directory()) }

  /// A disk in simulated time.
  package convenience init(seed: UInt64) {
    self.init(root: Directory())
    random = SeededGenerator(seed: seed)
    isTimed = true
  }

  private init(root: Directory) {
    self.root = root
    random = SeededGenerator(seed: 0)
    isTimed = false
  }

  /// This is at another's time, and wrong as that is.
  func continues(_ disk: VirtualDisk, seed: UInt64) {
    faults = disk.faults
    isTimed = disk.isTimed
    now = disk.now
    laneEnds = [now, now]
    random = SeededGenerator(seed: seed)
  }

  package func performAll(_ operations: [DiskOperation]) throws(DiskError) {
    for operation in operations { _ = try perform(operation) }
  }

  package func submit(_ operation: DiskOperation, _ token: DiskToken) {
    let due = isTimed ? due(operation) : 0
    guard let last = inFlight.last, last.due > due else {
      inFlight.append((operation, token, due))
      return
    }
    var (low, high) = (0, inFlight.count)
    while low < high {
      let middle = (low + high) / 2
      if inFlight[middle].due <= due { low = middle + 1 } else { high = middle }
    }
    inFlight.insert((operation, token, due), at: low)
  }

  /// Does the operation that was submitted as the `index`th of those in flight.
  package func step(_ index: Int = 0) -> DiskCompletion {
    let (operation, token, _) = inFlight.remove(at: index)
    do throws(DiskError) {
      return DiskCompletion(token, .success(try perform(operation)))
    } catch {
      return DiskCompletion(token, .failure(error))
    }
  }

  package func perform(_ operation: DiskOperation) throws(DiskError) -> DiskResult {
    willPerform?(self, operationsDone)
    operationsDone += 1
    if let error = fault?(operation) ?? faultError(operation) {
      bytesCounted = nil
      if case .sync(let file) = operation { open[file]?.syncFailed() }
      if case .write(let file, let position, let parts, let isDurable) = operation {
        // A part of it was done, as with a disk that fills up.
        let bytes = Self.joined(parts)
        open[file]?.write(position, Array(bytes.prefix(bytes.count / 2)))
        if isDurable { open[file]?.syncFailed() }
      }
      throw error
    }
    return try apply(operation)
  }
}

// MARK: - Operations

extension VirtualDisk {
  /// Bytes of all files.
  package var usedBytes: Int {
    let bytes = bytesCounted ?? root.bytes
    bytesCounted = bytes
    return bytes
  }

  private func apply(_ operation: DiskOperation) throws(DiskError) -> DiskResult {
    defer { if Self.changesSizes(operation) { bytesCounted = nil } }
    switch operation {
    case .makeDirectory(let path):
      let (directory, name) = try parent(of: path)
      guard directory.entries[name] == nil else { throw .alreadyExists(path) }
      directory.set(name, .directory(Directory()))
    case .list(let path):
      return .names(try directory(path).entries.keys.sorted())
    case .syncDirectory(let path):
      try directory(path).sync()
    case .removeDirectory(let path):
      guard try directory(path).entries.isEmpty else {
        throw .failed("removing directory \(path)", errno: 39)
      }
      let (directory, name) = try parent(of: path)
      directory.set(name, nil)
    case .removeTree(let path):
      let contents = try directory(path)
      for name in contents.entries.keys.sorted() { contents.set(name, nil) }
      let (directory, name) = try parent(of: path)
      directory.set(name, nil)
    case .open(let path, let mode, let isDirect):
      let file = try openFile(path, mode)
      if isDirect { direct.insert(file) }
      return .file(file)
    case .close(let file):
      precondition(open.removeValue(forKey: file) != nil, "closing a file that is not open")
      paths[file] = nil
    case .rename(let from, let to):
      try rename(from, to)
    case .delete(let path):
      let (directory, name) = try parent(of: path)
      guard case .file? = directory.entries[name] else { throw .notFound(path) }
      directory.set(name, nil)
    case .allocate(let file, let bytes):
      try reserve(Int(bytes), "a new file")
      self[file].write(0, [UInt8](repeating: 0, count: Int(bytes)))
      self[file].sync()
    case .write(let file, let position, let parts, let durable):
      if direct.contains(file) { Self.checkAlignment(position, parts) }
      let bytes = Self.joined(parts)
      let added = Int(position) + bytes.count - self[file].current.count
      do throws(DiskError) {
        try reserve(max(0, added), "a write")
      } catch {
        // As far as there is room.
        let fits = bytes.count - added + Int(max(0, (capacity ?? 0) - Int64(usedBytes)))
        if fits > 0 { self[file].write(position, Array(bytes.prefix(fits))) }
        throw error
      }
      self[file].write(position, bytes)
      if durable, !faults.forgetsSyncs { self[file].sync() }
    case .read(let file, let position, let count):
      let bytes = seen(file)
      let first = min(Int(position), bytes.count)
      return .bytes(Array(bytes[first..<min(first + count, bytes.count)]))
    case .load(let file, let position, let part):
      if direct.contains(file) { Self.checkAlignment(position, [part]) }
      let bytes = seen(file).dropFirst(Int(position)).prefix(part.range.count)
      unsafe part.memory.bytes[part.range.lowerBound...].copyBytes(from: bytes)
      return .count(Int64(bytes.count))
    case .sync(let file): if !faults.forgetsSyncs { self[file].sync() }
    case .truncate(let file, let size): self[file].truncate(Int(size))
    case .size(let file): return .count(Int64(self[file].current.count))
    case .map(let file, let count):
      return .mapping(Mapping(copying: Array(self[file].current.prefix(count))))
    case .freeSpace: return .count(max(0, (capacity ?? .max / 2) - Int64(usedBytes)))
    case .populate: break
    }
    return .done
  }

  private static func changesSizes(_ operation: DiskOperation) -> Bool {
    switch operation {
    case .write, .allocate, .truncate, .delete, .rename, .removeTree: true
    default: false
    }
  }

  /// What a read of the file finds.
  private func seen(_ file: FileID) -> [UInt8] {
    direct.contains(file) ? self[file].onDevice : self[file].current
  }

  private subscript(_ file: FileID) -> File {
    guard let found = open[file] else { preconditionFailure("a file that is not open is used") }
    return found
  }

  private func reserve(_ bytes: Int, _ what: String) throws(DiskError) {
    guard let capacity, bytes > 0 else { return }
    guard Int64(usedBytes + bytes) <= capacity else { throw .noSpace(what) }
  }

  private func openFile(_ path: String, _ mode: OpenMode) throws(DiskError) -> FileID {
    let (directory, name) = try parent(of: path)
    switch (mode, directory.entries[name]) {
    case (.create, .some): throw .alreadyExists(path)
    case (.create, nil): directory.set(name, .file(File()))
    case (.existing, .file): break
    case (.existing, _): throw .notFound(path)
    }
    guard case .file(let file)? = directory.entries[name] else { throw .notFound(path) }
    nextFile += 1
    open[FileID(nextFile)] = file
    paths[FileID(nextFile)] = path
    return FileID(nextFile)
  }

  private func rename(_ from: String, _ to: String) throws(DiskError) {
    let (source, oldName) = try parent(of: from)
    let (target, newName) = try parent(of: to)
    guard let entry = source.entries[oldName] else { throw .notFound(from) }
    if source === target {
      source.rename(oldName, newName)
    } else {
      target.set(newName, entry)
      source.set(oldName, nil)
    }
  }

  private func parent(of path: String) throws(DiskError) -> (Directory, String) {
    var parts = path.split(separator: "/").map(String.init)
    guard let name = parts.popLast() else { throw .notFound(path) }
    return (try directory(parts), name)
  }

  private func directory(_ path: String) throws(DiskError) -> Directory {
    try directory(path.split(separator: "/").map(String.init).filter { $0 != "." })
  }

  private func directory(_ parts: [String]) throws(DiskError) -> Directory {
    var directory = root
    for part in parts {
      guard case .directory(let next)? = directory.entries[part] else {
        throw .notFound(parts.joined(separator: "/"))
      }
      directory = next
    }
    return directory
  }

  private static func checkAlignment(_ position: Int64, _ parts: [DiskBytes]) {
    guard Int(position) % sectorBytes == 0 else {
      fatalError("direct I/O at \(position), which begins no sector")
    }
    for part in parts {
      guard part.range.lowerBound % sectorBytes == 0, part.range.count % sectorBytes == 0 else {
        fatalError("direct I/O with the bytes \(part.range) of its memory: no whole sectors")
      }
    }
  }

  private static func joined(_ parts: [DiskBytes]) -> [UInt8] {
    parts.flatMap { unsafe Array($0.memory.bytes[$0.range]) }
  }
}

// MARK: - Crashes

extension VirtualDisk {
  /// What a power cut leaves, if `keep` says for each volatile thing, counted from zero, whether it
  /// survives. In flight operations happen first or not, by the same count.
  package func afterPowerCut(keep: (Int) -> Bool) -> VirtualDisk {
    let copy = afterKill(keep: keep)
    var count = inFlight.count
    func next() -> Bool {
      defer { count += 1 }
      return keep(count)
    }
    return VirtualDisk(root: copy.root.crashed(next))
  }

  /// What the next process finds after this one was killed, if `keep` says which operations in
  /// flight were done.
  package func afterKill(keep: (Int) -> Bool) -> VirtualDisk {
    var copies: [ObjectIdentifier: File] = [:]
    let copy = VirtualDisk(root: root.copied(&copies))
    copy.capacity = capacity
    for (id, file) in open {
      copy.open[id] = copies[ObjectIdentifier(file)] ?? file.copied()
    }
    copy.nextFile = nextFile
    for (index, item) in inFlight.enumerated() where keep(index) {
      switch item.operation {
      case .write(let file, let position, let parts, _):
        // Done, but whether it was also made durable is for the power cut to say.
        _ = try? copy.apply(.write(file, position: position, parts, durable: false))
      case .sync, .close, .read, .load, .list, .size, .map, .freeSpace: break
      default: _ = try? copy.apply(item.operation)
      }
    }
    copy.open = [:]
    return copy
  }

  /// How many volatile things there are for `afterPowerCut` to ask about.
  package var volatileCount: Int {
    var count = 0
    _ = afterPowerCut { _ in
      count += 1
      return true
    }
    return count
  }

  /// Changes a byte of a file behind everybody's back, on the disk and in the cache.
  package func flip(_ path: String, byte: Int, mask: UInt8) {
    guard let (directory, name) = try? parent(of: path),
      case .file(let file)? = directory.entries[name]
    else { return }
    file.flip(byte, mask)
  }

  /// How much of a file survives any power cut.
  func durableSize(of path: String) -> Int {
    guard let (directory, name) = try? parent(of: path),
      case .file(let file)? = directory.entries[name]
    else { return 0 }
    return file.durableCount
  }

  package func contents(of path: String) -> [UInt8]? {
    guard let (directory, name) = try? parent(of: path),
      case .file(let file)? = directory.entries[name]
    else { return nil }
    return file.current
  }

  /// Shortens a file behind everybody's back.
  package func cut(_ path: String, to size: Int) {
    guard let (directory, name) = try? parent(of: path),
      case .file(let file)? = directory.entries[name]
    else { return }
    file.cut(size)
    bytesCounted = nil
  }

  /// What the operation is on: a path, by the name a file was opened with.
  package func path(of operation: DiskOperation) -> String? {
    switch operation {
    case .makeDirectory(let path), .list(let path), .syncDirectory(let path),
      .removeDirectory(let path), .removeTree(let path), .open(let path, _, _), .delete(let path),
      .rename(let path, _):
      path
    case .close(let file), .allocate(let file, _), .write(let file, _, _, _), .read(let file, _, _),
      .load(let file, _, _), .sync(let file), .truncate(let file, _), .size(let file),
      .map(let file, _):
      paths[file]
    case .freeSpace, .populate: nil
    }
  }

  /// Paths of all files, sorted.
  package var files: [String] { root.files.sorted() }
}
