internal import CLinux
internal import Glibc

/// Bytes from standard input or a file, as they come: a pipe gives what its writer has written.
package final class InputBytes {
  private let descriptor: Int32
  private let name: String

  /// Standard input.
  package init() {
    descriptor = 0
    name = "standard input"
  }

  package init(path: String) throws(DiskError) {
    descriptor = unsafe martlet_open(path, O_RDONLY | O_CLOEXEC, 0)
    name = path
    guard descriptor >= 0 else { throw .failed("opening \(path)", errno: errno) }
  }

  deinit { if descriptor > 0 { close(descriptor) } }

  /// The next bytes, at most that many; none at the end. Blocks until there are some.
  package func read(countMax: Int = 64 << 10) throws(DiskError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: countMax) { buffer, count in
      var result = 0
      repeat {
        result = unsafe Glibc.read(descriptor, buffer.baseAddress, countMax)
      } while result < 0 && errno == EINTR
      if result < 0 { failure = errno }
      count = max(0, result)
    }
    guard failure == 0 else { throw .failed("reading \(name)", errno: failure) }
    return bytes
  }
}

extension Console {
  /// Writes to standard output. False if nobody reads it any more; throws if it takes nothing, as a
  /// full disk does.
  package static func write(_ bytes: [UInt8]) throws(ProcessError) -> Bool {
    let failure: Int32? = unsafe bytes.withUnsafeBytes { memory in
      var sent = 0
      while sent < memory.count {
        let result = unsafe Glibc.write(
          1, memory.baseAddress.map { unsafe $0 + sent }, memory.count - sent)
        if result < 0, errno == EINTR { continue }
        guard result > 0 else { return errno }
        sent += result
      }
      return nil
    }
    guard let failure else { return true }
    guard failure == EPIPE else {
      throw ProcessError("Standard output takes no more: \(errorText(failure)).")
    }
    return false
  }
}
