internal import LogStore

/// What people are told of a full disk.
extension Node {
  /// What to know of a full disk; nil while there is room.
  var fullText: String? {
    guard store.isFullOfRecords else { return nil }
    return "the disk is full (\(whyFull)): produced records, committed offsets and new topics are "
      + "refused until there is room; free space, lower retention or delete topics"
  }

  private var whyFull: String {
    guard let free = store.freeSpace else { return "a write was refused" }
    let kept = "\(store.freeSpaceMin >> 20) MiB are kept for what was accepted"
    return free < store.freeSpaceMin
      ? "\(free >> 20) MiB are free, and \(kept)"
      : "a write was refused though \(free >> 20) MiB are free: a quota, or too many open files"
  }

  /// When it begins, and when it is over.
  func tellSpace() {
    tell(fullText ?? "the disk has room again\(freeText): records are taken")
  }

  private var freeText: String {
    store.freeSpace.map { " (\($0 >> 20) MiB are free)" } ?? ""
  }
}
