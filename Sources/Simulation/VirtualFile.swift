/// A file of a virtual disk: what is durable, what it looks like, and the changes between the two.
final class File {
  enum Change {
    case write(Int, [UInt8])
    case truncate(Int)
  }

  private(set) var current: [UInt8] = []
  private var durable: [UInt8] = []
  private var changes: [Change] = []
  /// It looks written, in part, and is not.
  private var hasLost = false

  var durableCount: Int { durable.count }

  func write(_ position: Int64, _ bytes: [UInt8]) {
    Self.apply(.write(Int(position), bytes), to: &current)
    changes.append(.write(Int(position), bytes))
  }

  func truncate(_ size: Int) {
    Self.apply(.truncate(size), to: &current)
    changes.append(.truncate(size))
  }

  func sync() {
    guard !changes.isEmpty else { return }
    // Not `current`: after a failed sync it shows what is lost.
    for change in changes { Self.apply(change, to: &durable) }
    changes = []
  }

  /// The kernel reports the error and forgets what it should have written.
  func syncFailed() {
    hasLost = hasLost || !changes.isEmpty
    changes = []
  }

  /// What is read past the page cache.
  var onDevice: [UInt8] {
    guard hasLost else { return current }
    var bytes = durable
    for change in changes { Self.apply(change, to: &bytes) }
    return bytes
  }

  func flip(_ byte: Int, _ mask: UInt8) {
    if byte < current.count { current[byte] ^= mask }
    if byte < durable.count { durable[byte] ^= mask }
  }

  func cut(_ size: Int) {
    current.removeLast(max(0, current.count - size))
    durable.removeLast(max(0, durable.count - size))
  }

  func copied() -> File {
    let copy = File()
    copy.current = current
    copy.durable = durable
    copy.changes = changes
    copy.hasLost = hasLost
    return copy
  }

  /// The file after a power cut.
  func crashed(_ keep: () -> Bool) -> File {
    let copy = File()
    var bytes = durable
    for change in changes {
      switch change {
      case .truncate:
        if keep() { Self.apply(change, to: &bytes) }
      case .write(let position, let written):
        for range in Self.sectors(position, written.count) where keep() {
          let part = Array(written[(range.lowerBound - position)..<(range.upperBound - position)])
          Self.apply(.write(range.lowerBound, part), to: &bytes)
        }
      }
    }
    copy.current = bytes
    copy.durable = bytes
    return copy
  }

  private static func sectors(_ position: Int, _ count: Int) -> [Range<Int>] {
    let size = VirtualDisk.sectorBytes
    let first = position / size * size
    return stride(from: first, to: position + count, by: size).map {
      max($0, position)..<min($0 + size, position + count)
    }
  }

  private static func apply(_ change: Change, to bytes: inout [UInt8]) {
    switch change {
    case .write(let position, let written):
      if bytes.count < position + written.count {
        bytes += [UInt8](repeating: 0, count: position + written.count - bytes.count)
      }
      bytes.replaceSubrange(position..<position + written.count, with: written)
    case .truncate(let size):
      if size < bytes.count {
        bytes.removeLast(bytes.count - size)
      } else {
        bytes += [UInt8](repeating: 0, count: size - bytes.count)
      }
    }
  }
}

/// A directory of a virtual disk. The changes of its names become durable in their order.
final class Directory {
  enum Entry {
    case file(File)
    case directory(Directory)
  }

  private enum Change {
    case set(String, Entry?)
    case rename(String, String)
  }

  private(set) var entries: [String: Entry] = [:]
  private var durable: [String: Entry] = [:]
  private var changes: [Change] = []

  var bytes: Int {
    entries.values.reduce(0) { sum, entry in
      switch entry {
      case .file(let file): sum + file.current.count
      case .directory(let directory): sum + directory.bytes
      }
    }
  }

  var files: [String] {
    entries.flatMap { name, entry in
      switch entry {
      case .file: [name]
      case .directory(let directory): directory.files.map { "\(name)/\($0)" }
      }
    }
  }

  func set(_ name: String, _ entry: Entry?) {
    entries[name] = entry
    changes.append(.set(name, entry))
  }

  func rename(_ from: String, _ to: String) {
    Self.apply(.rename(from, to), to: &entries)
    changes.append(.rename(from, to))
  }

  func sync() {
    durable = entries
    changes = []
  }

  func copied(_ files: inout [ObjectIdentifier: File]) -> Directory {
    var directories: [ObjectIdentifier: Directory] = [:]
    return copied(&files, &directories)
  }

  private func copied(
    _ files: inout [ObjectIdentifier: File], _ directories: inout [ObjectIdentifier: Directory]
  ) -> Directory {
    if let copy = directories[ObjectIdentifier(self)] { return copy }
    let copy = Directory()
    directories[ObjectIdentifier(self)] = copy
    func copied(_ entry: Entry) -> Entry {
      switch entry {
      case .directory(let directory):
        return .directory(directory.copied(&files, &directories))
      case .file(let file):
        let copy = files[ObjectIdentifier(file)] ?? file.copied()
        files[ObjectIdentifier(file)] = copy
        return .file(copy)
      }
    }
    // In the order of their names: what is copied first must not depend on hashing.
    for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
      copy.entries[name] = copied(entry)
    }
    for (name, entry) in durable.sorted(by: { $0.key < $1.key }) {
      copy.durable[name] = copied(entry)
    }
    copy.changes = changes.map { change in
      switch change {
      case .set(let name, let entry): .set(name, entry.map(copied))
      case .rename: change
      }
    }
    return copy
  }

  /// The directory after a power cut.
  func crashed(_ keep: () -> Bool) -> Directory {
    let copy = Directory()
    var kept = durable
    for change in changes {
      guard keep() else { break }
      Self.apply(change, to: &kept)
    }
    for (name, entry) in kept.sorted(by: { $0.key < $1.key }) {
      switch entry {
      case .file(let file): copy.entries[name] = .file(file.crashed(keep))
      case .directory(let directory): copy.entries[name] = .directory(directory.crashed(keep))
      }
    }
    copy.durable = copy.entries
    return copy
  }

  private static func apply(_ change: Change, to entries: inout [String: Entry]) {
    switch change {
    case .set(let name, let entry):
      entries[name] = entry
    case .rename(let from, let to):
      guard let entry = entries.removeValue(forKey: from) else { return }
      entries[to] = entry
    }
  }
}
