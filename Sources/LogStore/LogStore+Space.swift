internal import Platform

/// A full disk is a state: appends are refused, everything else goes on.
///
/// The journal is preallocated, so what was accepted is safe; segments, indices and checkpoints
/// wait until there is space. A reserve file is deleted to make room for a checkpoint, and made
/// again when the disk has space for it and more.
extension LogStore {
  static let reservePath = "reserve"

  func becomeFull() {
    if hasReserve {
      hasReserve = false
      _ = try? disk.perform(.delete(Self.reservePath))
    }
    guard !isFull else { return }
    freeSpace = (try? disk.freeSpace()) ?? freeSpace
    isFull = true
    emit(.full(true))
  }

  /// Looks how much space there is, tries again what failed for want of it, and notes the end of
  /// the shortage.
  func watchSpace() {
    guard failure == nil else { return }
    if isFull { for slot in logs.indices { removeBehindWaitingWork(slot) } }
    guard let free = try? disk.freeSpace() else { return }
    freeSpace = free
    // A little more than what ended it, or it would come and go with every file.
    if free < options.freeSpaceMin + (isFull ? options.freeSpaceMin / 8 : 0) {
      if !isFull {
        isFull = true
        emit(.full(true))
      }
      return
    }
    guard isFull || !hasReserve else { return }
    for slot in logs.indices { retryFileWork(slot) }
    if !hasReserve, !reserveUnderWay { makeReserve() }
    guard isFull, hasReserve, !logs.contains(where: { $0.work.waitsForSpace }) else { return }
    isFull = false
    emit(.full(false))
    reportRoom()
  }

  private func makeReserve() {
    _ = try? disk.perform(.delete(Self.reservePath))
    guard let file = try? disk.openFile(Self.reservePath, .create) else { return }
    reserveUnderWay = true
    submit(.allocate(file, bytes: options.reserveBytes), .reserve(OpenFile(file, disk)))
  }

  func reserveMade(_ result: Result<DiskResult, DiskError>) {
    reserveUnderWay = false
    switch result {
    case .success: hasReserve = true
    case .failure: becomeFull()
    }
  }
}
