internal import Bytes
internal import Platform

/// Reads what a crash left of the journal, and tells torn from damaged.
///
/// Groups are taken in the order of their numbers, each chained to the one before by its CRC. At
/// the first that is not whole:
///
/// (1) If a whole header behind it says that it was durable, it was damaged after it had been
///     written. What is whole in it and behind it still counts; the log whose frame is damaged is
///     named, or all logs are, if that cannot be known.
/// (2) Otherwise the power failed while it was being written, and it was never acknowledged. It and
///     everything behind it is dead, whole or not: the sectors of later groups may have reached the
///     disk before its own did.
///
/// The files are read past the page cache, after a sync: bytes that exist only in memory, after a
/// process died and the system did not, become durable before anybody relies on them. A piece of a
/// file is in memory at a time: memory that is touched for the first time costs more than reading.
struct JournalReader {
  /// Of a file, so much is read at once: 4 MiB of one of 64. A group that is longer is read as one.
  private static let piecesOfFile = 16

  enum Finding {
    case frame(FrameHeader, ArraySlice<UInt8>)
    /// A durable frame of this log is damaged; frames of any log may be, if nil.
    case damaged(LogID?)
  }

  struct File {
    var slot: Int
    var file: FileID
    /// Nil if the header is not whole.
    var header: JournalFileHeader?
    /// Of a file without a header: the groups in it that have one.
    var headless: [GroupHeader] = []
  }

  private let store: UInt64
  private let options: JournalOptions
  private let disk: any Disk
  private let firstGeneration: UInt64
  /// Groups up to here are in the checkpoint.
  private let through: UInt64

  /// The last group that counts.
  private(set) var lastGroup: UInt64
  private(set) var lastCRC: UInt32 = 0
  /// Above every generation that was seen anywhere, also in what is dead.
  private(set) var nextGeneration: UInt64
  private(set) var files: [File] = []
  /// Slots whose files are damaged, to be kept for whoever wants to look.
  private(set) var damagedSlots: [Int] = []

  /// Prepares to read on from group `through`, which is covered by a checkpoint whose journal
  /// begins at `firstGeneration`. `files` are the journal's files, open for direct reading.
  init(
    store: UInt64, options: JournalOptions, disk: any Disk, files: [(slot: Int, file: FileID)],
    through: UInt64, firstGeneration: UInt64
  ) throws(DiskError) {
    self.store = store
    self.options = options
    self.disk = disk
    self.through = through
    self.firstGeneration = firstGeneration
    lastGroup = through
    nextGeneration = firstGeneration
    for (slot, file) in files {
      _ = try disk.perform(.sync(file))
      let head = try disk.read(file, 0, 2 * options.blockBytes)
      var found = File(
        slot: slot, file: file, header: JournalFileHeader(reading: head[...], store: store))
      if found.header == nil { found.headless = try headlessGroups(file, head) }
      for generation in found.headless.map(\.generation) + [found.header?.generation ?? 0] {
        nextGeneration = max(nextGeneration, generation + 1)
      }
      self.files.append(found)
    }
  }

  /// Hands every frame that counts to `take`, in order, and what is damaged.
  mutating func read(_ take: (Finding) throws(DiskError) -> Void) throws(DiskError) {
    let alive = files.filter { ($0.header?.generation ?? 0) >= firstGeneration }
      .sorted { ($0.header?.generation ?? 0) < ($1.header?.generation ?? 0) }
    var previous: UInt32?
    for (index, file) in alive.enumerated() {
      guard let header = file.header else { continue }
      if header.firstGroup > lastGroup + 1 {
        // A whole file is missing before this one.
        try take(.damaged(nil))
        lastGroup = header.firstGroup - 1
        previous = nil
      }
      var reading = FileReading(
        file: file.file, generation: header.generation, number: header.firstGroup,
        previousCRC: previous ?? header.previousCRC,
        sealedAt: index + 1 < alive.count ? alive[index + 1].header?.firstGroup : nil)
      let later = alive[(index + 1)...]
      guard try readGroups(&reading, file.slot, later, take) else { return }
      previous = reading.previousCRC
    }
    // A file whose header is gone, with groups that vouch for something not seen: it was used.
    for file in files where file.header == nil {
      guard file.headless.contains(where: { vouches($0, for: lastGroup + 1) }) else { continue }
      damagedSlots.append(file.slot)
      try take(.damaged(nil))
    }
  }

  private func vouches(_ header: GroupHeader, for group: UInt64) -> Bool {
    header.generation >= firstGeneration && header.durableThrough >= group
  }

  /// The group headers in a file that has no header itself: none, for a file that was never used.
  private func headlessGroups(
    _ file: FileID, _ head: [UInt8]
  ) throws(DiskError) -> [GroupHeader] {
    let block = options.blockBytes
    let unused =
      head.prefix(block).allSatisfy { $0 == 0 }
      && GroupHeader.read(head.dropFirst(block), store: store) == nil
    guard !unused else { return [] }
    var found: [GroupHeader] = []
    try eachHeader(of: file, from: block) { _, header in
      found.append(header)
      return true
    }
    return found
  }

  /// Every whole group header at a block's beginning, whole group or not, from a place in the file
  /// on, until `take` wants no more.
  private func eachHeader(
    of file: FileID, from first: Int, _ take: (Int, GroupHeader) -> Bool
  ) throws(DiskError) {
    var start = first
    while start < Int(options.fileBytes) {
      let bytes = try piece(of: file, from: start, atLeast: options.blockBytes)
      for position in stride(from: 0, to: bytes.count, by: options.blockBytes) {
        guard let (header, _) = GroupHeader.read(bytes[position...], store: store) else { continue }
        guard take(start + position, header) else { return }
      }
      // Shorter than it was made.
      guard bytes.count > 0, bytes.count % options.blockBytes == 0 else { return }
      start += bytes.count
    }
  }

  /// What the file has from a block on: fewer bytes than are wanted where it ends.
  private func piece(
    of file: FileID, from start: Int, atLeast count: Int
  ) throws(DiskError) -> [UInt8] {
    let block = options.blockBytes
    let usual = max(block, Int(options.fileBytes) / Self.piecesOfFile / block * block)
    let wanted = max((count + block - 1) / block * block, usual)
    return try disk.read(file, Int64(start), min(wanted, Int(options.fileBytes) - start))
  }
}

// MARK: - One file

extension JournalReader {
  /// Where the reader is in a file.
  fileprivate struct FileReading {
    let file: FileID
    let generation: UInt64
    /// The number of the group that is next.
    var number: UInt64
    var previousCRC: UInt32
    /// The next file begins with this group.
    let sealedAt: UInt64?
    /// The piece that is in memory, and where in the file it begins.
    var bytes: [UInt8] = []
    var start = 0
    /// In the piece.
    var position = 0
  }

  /// Has so many bytes from the position on in memory, or all that the file has.
  private func fill(_ reading: inout FileReading, _ count: Int) throws(DiskError) {
    let next = reading.start + reading.position
    guard reading.bytes.count - reading.position < count,
      reading.start + reading.bytes.count < Int(options.fileBytes) || reading.bytes.isEmpty,
      next < Int(options.fileBytes)
    else { return }
    reading.bytes = []
    reading.bytes = try piece(of: reading.file, from: next, atLeast: count)
    reading.start = next
    reading.position = 0
  }

  /// Reads a file's groups. False if the journal ends here.
  private mutating func readGroups(
    _ reading: inout FileReading, _ slot: Int, _ later: ArraySlice<File>,
    _ take: (Finding) throws(DiskError) -> Void
  ) throws(DiskError) -> Bool {
    reading.position = options.blockBytes
    while reading.number != reading.sealedAt {
      let group = try wholeHeader(&reading)
      if let (header, crc) = group, framesAreWhole(header, reading) {
        if header.number > through {
          try takeFrames(header, reading, take)
          lastGroup = header.number
        }
        lastCRC = crc
        advance(&reading, header, crc)
        continue
      }
      let covered = reading.number <= through
      if !covered { guard try wasDurable(reading, later) else { return false } }
      if !covered, !damagedSlots.contains(slot) { damagedSlots.append(slot) }
      if let (header, crc) = group {
        if !covered { try takeFrames(header, reading, take) }
        lastGroup = max(lastGroup, header.number)
        lastCRC = crc
        advance(&reading, header, crc)
      } else {
        if !covered { try take(.damaged(nil)) }
        guard try skipToNextHeader(&reading) else {
          // Nothing more in this file.
          guard let seal = reading.sealedAt else { return false }
          lastGroup = max(lastGroup, seal - 1)
          return true
        }
      }
    }
    return true
  }

  private func advance(_ reading: inout FileReading, _ header: GroupHeader, _ crc: UInt32) {
    let block = options.blockBytes
    let size = JournalFormat.groupHeaderBytes + header.length
    reading.position += (size + block - 1) / block * block
    reading.previousCRC = crc
    reading.number += 1
  }

  /// The header of the group that must be here, if it is.
  private func wholeHeader(
    _ reading: inout FileReading
  ) throws(DiskError) -> (GroupHeader, crc: UInt32)? {
    try fill(&reading, options.blockBytes)
    guard reading.position < reading.bytes.count,
      let (header, crc) = GroupHeader.read(reading.bytes[reading.position...], store: store),
      header.generation == reading.generation, header.number == reading.number,
      header.previousCRC == reading.previousCRC,
      header.length <= Int(options.fileBytes)
    else { return nil }
    let bytes = JournalFormat.groupHeaderBytes + header.length
    try fill(&reading, bytes)
    guard bytes <= reading.bytes.count - reading.position else { return nil }
    return (header, crc)
  }

  private func framesAreWhole(_ header: GroupHeader, _ reading: FileReading) -> Bool {
    var digest = CRC32C()
    var count = 0
    var position = reading.position + JournalFormat.groupHeaderBytes
    let end = position + header.length
    while position < end {
      guard let (frame, crc) = frame(at: position, end, reading),
        payloadIsWhole(frame, position, reading)
      else { return false }
      digest.update(crc)
      count += 1
      position += JournalFormat.frameBytes(payload: frame.length)
    }
    return count == header.frames && digest.value == header.digest
  }

  /// Hands out the frames that are whole, and says of those that are not whose they are.
  private func takeFrames(
    _ header: GroupHeader, _ reading: FileReading,
    _ take: (Finding) throws(DiskError) -> Void
  ) throws(DiskError) {
    var position = reading.position + JournalFormat.groupHeaderBytes
    let end = position + header.length
    while position < end {
      guard let (frame, _) = frame(at: position, end, reading) else {
        try take(.damaged(nil))
        return
      }
      if payloadIsWhole(frame, position, reading) {
        let first = position + JournalFormat.frameHeaderBytes
        try take(.frame(frame, reading.bytes[first..<first + frame.length]))
      } else {
        try take(.damaged(frame.log))
      }
      position += JournalFormat.frameBytes(payload: frame.length)
    }
  }

  private func frame(
    at position: Int, _ end: Int, _ reading: FileReading
  ) -> (FrameHeader, crc: UInt32)? {
    guard
      let (frame, crc) = FrameHeader.read(
        reading.bytes[position..<end], generation: reading.generation),
      JournalFormat.frameBytes(payload: frame.length) <= end - position
    else { return nil }
    return (frame, crc)
  }

  private func payloadIsWhole(
    _ frame: FrameHeader, _ position: Int, _ reading: FileReading
  ) -> Bool {
    let first = position + JournalFormat.frameHeaderBytes
    return unsafe reading.bytes[first..<first + frame.length].withUnsafeBytes { payload in
      unsafe FrameHeader.payloadCRC(payload, generation: reading.generation) == frame.payloadCRC
    }
  }

  /// Whether anything behind the group says that it was durable.
  private func wasDurable(
    _ reading: FileReading, _ later: ArraySlice<File>
  ) throws(DiskError) -> Bool {
    // A file is begun when everything before it is durable.
    if let seal = reading.sealedAt, seal > reading.number { return true }
    if later.contains(where: { ($0.header?.firstGroup ?? 0) > reading.number }) { return true }
    let headless = files.flatMap(\.headless).filter { $0.generation > reading.generation }
    if headless.contains(where: { vouches($0, for: reading.number) }) { return true }
    var isVouchedFor = false
    try eachHeader(of: reading.file, from: reading.start + reading.position) { _, header in
      isVouchedFor = header.generation == reading.generation && vouches(header, for: reading.number)
      return !isVouchedFor
    }
    return isVouchedFor
  }

  /// Goes to the next group of this file that has a header; false if there is none.
  private func skipToNextHeader(_ reading: inout FileReading) throws(DiskError) -> Bool {
    var next: (position: Int, header: GroupHeader)?
    let first = reading.start + reading.position + options.blockBytes
    try eachHeader(of: reading.file, from: first) { position, header in
      guard header.generation == reading.generation, header.number > reading.number,
        header.number < reading.sealedAt ?? .max
      else { return true }
      next = (position, header)
      return false
    }
    guard let (position, header) = next else { return false }
    reading.bytes = []
    reading.start = position
    reading.position = 0
    reading.number = header.number
    reading.previousCRC = header.previousCRC
    return true
  }
}
