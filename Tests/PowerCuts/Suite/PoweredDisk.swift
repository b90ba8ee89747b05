import Glibc

/// A file system whose power can be cut.
protocol PoweredDisk: AnyObject {
  /// Where it is mounted.
  var mount: String { get }
  /// The power fails: nothing that is not on the disk gets there any more. Returns how many sectors
  /// the device itself has dropped.
  func cut(_ random: inout SystemRandomNumberGenerator) throws -> Int
  /// The power is back, and nobody uses the file system.
  func restart() throws
}

/// A directory for one disk, and the way back from everything that was done for it.
final class Workplace {
  let path: String
  private var undo: [[String]] = []

  init() throws {
    // In memory: what is tested is who flushes what, not this machine's disk.
    let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(parent)/martlet-power-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Child.Failed(command: "mkdtemp", output: parent) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    undo.append(["rm", "-rf", path])
    for name in ["mount", "fuse"] { try Child.run("mkdir", "\(path)/\(name)") }
  }

  deinit {
    for command in undo.reversed() { _ = try? Child(command).wait() }
  }

  func later(_ command: String...) { undo.append(command) }

  func forget(_ command: String...) { undo.removeAll { $0 == command } }

  func attach(_ file: String) throws -> String {
    let device = try Child.run("losetup", "--find", "--show", file)
    later("losetup", "--detach", device)
    return device
  }

  func detach(_ device: String) throws {
    try Child.run("losetup", "--detach", device)
    forget("losetup", "--detach", device)
  }

  func makeFileSystem(on device: String) throws {
    try Child.run(
      "mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", device)
  }

  func mount(_ device: String, _ directory: String) throws {
    try Child.run("mount", "-t", "ext4", device, directory)
    later("umount", "--lazy", directory)
  }

  func unmount(_ directory: String) throws {
    try Child.run("umount", directory)
    forget("umount", "--lazy", directory)
  }
}

/// The first kind: ext4 forgets everything that it has not handed to its device, and does no more
/// I/O. What went past the page cache stays, flushed or not.
final class ShutDownDisk: PoweredDisk {
  let mount: String
  private let place: Workplace
  private let device: String

  init(bytes: Int) throws {
    place = try Workplace()
    mount = "\(place.path)/mount"
    let image = "\(place.path)/image"
    try Child.run("truncate", "--size=\(bytes)", image)
    device = try place.attach(image)
    try place.makeFileSystem(on: device)
    try place.mount(device, mount)
  }

  func cut(_ random: inout SystemRandomNumberGenerator) throws -> Int {
    let directory = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw Child.Failed(command: "open", output: mount) }
    defer { close(directory) }
    var flags: UInt32 = 2  // EXT4_GOING_FLAGS_NOLOGFLUSH: not even its journal.
    let shutDown: UInt = 0x8004_587d  // EXT4_IOC_SHUTDOWN
    guard ioctl(directory, shutDown, &flags) == 0 else {
      throw Child.Failed(command: "EXT4_IOC_SHUTDOWN", output: "errno \(errno)")
    }
    return 0
  }

  func restart() throws {
    try place.unmount(mount)
    try place.mount(device, mount)
  }
}

/// The second kind: the device itself drops a random part of what no flush has covered, whether it
/// went through the page cache or past it.
final class ForgetfulDisk: PoweredDisk {
  let mount: String
  private let place: Workplace
  private let fuse: String
  private let daemon: Child
  private var device: String

  init(bytes: Int) throws {
    place = try Workplace()
    mount = "\(place.path)/mount"
    fuse = "\(place.path)/fuse"
    daemon = try Child([Programs.forgetfulFile, fuse, "\(bytes)"])
    place.later("umount", "--lazy", fuse)
    guard daemon.line() == "ready" else {
      throw Child.Failed(command: "forgetful-file", output: "it did not start")
    }
    device = try place.attach("\(fuse)/disk")
    try place.makeFileSystem(on: device)
    try place.mount(device, mount)
  }

  func cut(_ random: inout SystemRandomNumberGenerator) throws -> Int {
    let percent = [10, 50, 90, 100].randomElement(using: &random) ?? 50
    try control("cut \(random.next() >> 1) \(percent)")
    let report = try Child.run("head", "-n", "1", "\(fuse)/control").split(separator: " ")
    return report.last.flatMap { Int($0) } ?? 0
  }

  func restart() throws {
    try place.unmount(mount)
    try place.detach(device)
    try control("heal")
    device = try place.attach("\(fuse)/disk")
    try place.mount(device, mount)
  }

  private func control(_ command: String) throws {
    let file = open("\(fuse)/control", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw Child.Failed(command: "open", output: "\(fuse)/control") }
    defer { close(file) }
    let bytes = Array(command.utf8)
    guard write(file, bytes, bytes.count) == bytes.count else {
      throw Child.Failed(command: command, output: "errno \(errno)")
    }
  }
}
