internal import Platform

/// Which node a data directory is of. Another one's would answer for partitions that are not its
/// own, under a name that clients and configurations have for somebody else.
///
/// A file beside the store's, which has the id in digits. A directory without one is from before
/// there was one: it belongs to whoever opens it first.
enum NodeIdentity {
  static let path = "node.id"
  private static let temporaryPath = "node.id.new"
  private static let bytesMax = 32

  /// Makes sure that the directory is the node's; what it is called is only for the message.
  static func check(
    _ id: Int32, on disk: any Disk, _ directory: String
  ) throws(NodeHostError) {
    let found: Int32?
    do throws(DiskError) {
      guard try disk.names(in: ".").contains(path) else { return try write(id, on: disk) }
      let file = try disk.openFile(path, .existing)
      let bytes = try disk.read(file, 0, bytesMax)
      _ = try disk.perform(.close(file))
      found = Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    } catch .noSpace {
      // The next start has another chance; this one may be what makes space.
      return
    } catch {
      throw NodeHostError("The file \(path) in \(directory) cannot be read or made: \(error).")
    }
    guard let found else {
      throw NodeHostError(
        "The file \(path) in \(directory) does not hold a node's id; write the id of the node "
          + "that the directory belongs to into it.")
    }
    guard found == id else {
      throw NodeHostError(
        "\(directory) belongs to node \(found), not to node \(id); start it with --node "
          + "\(found), or take another directory.")
    }
  }

  private static func write(_ id: Int32, on disk: any Disk) throws(DiskError) {
    if try disk.names(in: ".").contains(temporaryPath) {
      _ = try disk.perform(.delete(temporaryPath))
    }
    let bytes = Array("\(id)\n".utf8)
    let memory = BlockMemory(count: bytes.count)
    unsafe bytes.withUnsafeBytes { unsafe memory.bytes.copyMemory(from: $0) }
    let file = try disk.openFile(temporaryPath, .create)
    _ = try disk.perform(
      .write(file, position: 0, [DiskBytes(memory, 0..<bytes.count)], durable: false))
    _ = try disk.perform(.sync(file))
    _ = try disk.perform(.close(file))
    _ = try disk.perform(.rename(from: temporaryPath, to: path))
    _ = try disk.perform(.syncDirectory("."))
  }
}
