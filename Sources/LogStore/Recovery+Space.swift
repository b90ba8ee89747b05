internal import Platform

/// A store that is opened while its disk is full.
extension Recovery {
  /// Makes a file of what `fill` does with it, and leaves it open. One that cannot be made takes no
  /// space from another attempt.
  static func makeFile(
    _ path: String, direct: Bool = false, _ disk: any Disk,
    _ fill: (FileID) throws(DiskError) -> Void
  ) throws(DiskError) -> FileID {
    let file = try disk.openFile(path, .create, direct: direct)
    do throws(DiskError) {
      try fill(file)
      return file
    } catch {
      _ = try? disk.perform(.close(file))
      _ = try? disk.perform(.delete(path))
      throw error
    }
  }

  /// Why there is not enough space to open the store, for people. `what` was not possible.
  static func shortage(_ what: String, _ disk: any Disk, _ options: LogStoreOptions) -> String {
    guard let free = try? disk.freeSpace() else { return "no space left for \(what)" }
    let needed = bytesNeeded(disk, options)
    let megabytes = (needed + (1 << 20) - 1) >> 20
    return free < needed
      ? "\(free >> 20) MiB are free, and up to \(megabytes) MiB are needed"
      : "no space left for \(what) though \(free >> 20) MiB are free, which may be a quota"
  }

  /// At most what an attempt to open the store writes: what the journal has is written to its
  /// files again, and there is a journal and a checkpoint.
  private static func bytesNeeded(_ disk: any Disk, _ options: LogStoreOptions) -> Int64 {
    var bytes: Int64 = 1 << 16
    if (try? disk.names(in: "journal"))?.isEmpty ?? true { bytes += options.journal.fileBytes }
    guard (try? disk.names(in: "."))?.contains(Checkpoint.path) ?? false,
      let recovery = try? Recovery(disk: disk, options: options, newID: 0, now: 0),
      var reader = try? recovery.journalReader()
    else { return bytes }
    bytes += 2 * Int64(recovery.checkpoint.encoded().count)
    try? reader.read { (finding) throws(DiskError) in
      guard case .frame(let frame, let payload) = finding, frame.kind == .append else { return }
      bytes += Int64(payload.count)
    }
    for file in reader.files { _ = try? disk.perform(.close(file.file)) }
    return bytes
  }
}
