import Glibc

/// The programs beside the tests', and what they need of the machine.
enum Programs {
  static let victim = besideTests("power-victim")
  static let forgetfulFile = besideTests("forgetful-file")

  private static func besideTests(_ name: String) -> String {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = max(0, readlink("/proc/self/exe", &bytes, bytes.count - 1))
    let path = String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/" + name
  }

  /// Why this machine cannot cut its own power, if it cannot.
  static let missing: String? = {
    if geteuid() != 0 { return "loop devices and mounts need root" }
    for path in ["/dev/loop-control", "/dev/fuse", victim, forgetfulFile]
    where access(path, F_OK) != 0 {
      return "\(path) is not there"
    }
    do {
      try Child.run("losetup", "--find")
      try Child.run("which", "mkfs.ext4", "mount", "umount", "truncate")
    } catch {
      return "\(error)"
    }
    return nil
  }()

  /// Twenty cycles, or two hundred in a long run.
  static let cycles = getenv("MARTLET_LONG").map { strcmp($0, "1") == 0 } ?? false ? 200 : 20
}
