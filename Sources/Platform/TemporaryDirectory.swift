internal import CLinux
internal import Glibc

/// A directory for a while, in the system's place for such.
///
/// Its file `lock` is locked for as long as the process that made it lives, so that what a killed
/// one has left can be told from what is in use.
package struct TemporaryDirectory {
  package let path: String
  private let lock: Int32

  private static let parent = "/tmp"
  private static let attemptsMax = 10

  package init(_ prefix: String) throws(ProcessError) {
    for _ in 0..<Self.attemptsMax {
      let path = try Self.make(prefix)
      // Not locked yet, it may have been taken for abandoned.
      guard let lock = Self.lock(path, O_CREAT) else { continue }
      self.path = path
      self.lock = lock
      return
    }
    throw ProcessError("No temporary directory in \(Self.parent) can be locked.")
  }

  private static func make(_ prefix: String) throws(ProcessError) -> String {
    var template = Array("\(parent)/\(prefix)-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw ProcessError("There is no temporary directory: \(errorText(errno)).")
    }
    return template.dropLast().reduce(into: "") { text, byte in
      text.unicodeScalars.append(Unicode.Scalar(UInt8(bitPattern: byte)))
    }
  }

  /// Nil if it is somebody else's, in use, gone, or has nothing to lock.
  private static func lock(_ directory: String, _ flags: Int32) -> Int32? {
    let file = unsafe martlet_openat(
      AT_FDCWD, "\(directory)/lock", flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { return nil }
    var status = stat()
    guard flock(file, LOCK_EX | LOCK_NB) == 0, unsafe fstat(file, &status) == 0,
      status.st_nlink > 0, status.st_uid == geteuid()
    else {
      close(file)
      return nil
    }
    return file
  }

  /// Removes what processes of this user that are gone have left of this prefix.
  package static func removeAbandoned(_ prefix: String) {
    guard
      case .names(let names)? = try? FileSystemCall(root: AT_FDCWD).perform(
        .list(directory: parent))
    else { return }
    for name in names where name.hasPrefix("\(prefix)-") {
      guard let lock = lock("\(parent)/\(name)", 0) else { continue }
      remove("\(parent)/\(name)")
      close(lock)
    }
  }

  /// Makes a directory in it, for a user by name, or for this one.
  package func makeDirectory(_ name: String, owner: String? = nil) throws(ProcessError) -> String {
    let made = "\(path)/\(name)"
    guard unsafe mkdir(made, 0o700) == 0 else {
      throw ProcessError("\(made) cannot be made: \(errorText(errno)).")
    }
    guard let owner else { return made }
    guard let user = unsafe getpwnam(owner) else {
      throw ProcessError("There is no user '\(owner)' on this machine.")
    }
    guard unsafe chown(made, user.pointee.pw_uid, user.pointee.pw_gid) == 0 else {
      throw ProcessError("\(made) cannot be given to \(owner): \(errorText(errno)).")
    }
    // Others may pass through to what is theirs.
    unsafe chmod(path, 0o711)
    return made
  }

  package func remove() {
    Self.remove(path)
    close(lock)
  }

  private static func remove(_ path: String) {
    _ = try? ChildProcess.run(["rm", "-rf", "--", path], output: "/dev/null")
  }
}
