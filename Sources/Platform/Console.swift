internal import CLinux
internal import Glibc

/// Standard error and the end of the process, for command lines.
package enum Console {
  package static func complain(_ text: String) {
    var text = text
    text.withUTF8 { bytes in _ = unsafe Glibc.write(2, bytes.baseAddress, bytes.count) }
  }

  /// To standard output, at once.
  package static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in _ = unsafe Glibc.write(1, bytes.baseAddress, bytes.count) }
  }

  /// Whether standard output is a person's terminal.
  package static var isTerminal: Bool { isatty(1) == 1 }

  package static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

  /// Ends the process at once, while other threads are still at work.
  package static func abandon(_ status: Int32) -> Never { Glibc._exit(status) }

  /// The program that runs, wherever it was found.
  package static var executable: String {
    var path = [UInt8](repeating: 0, count: 4096)
    let count = unsafe path.withUnsafeMutableBytes { bytes in
      guard let base = unsafe bytes.bindMemory(to: CChar.self).baseAddress else { return 0 }
      return unsafe readlink("/proc/self/exe", base, bytes.count)
    }
    return count > 0 ? String(decoding: path[..<count], as: UTF8.self) : CommandLine.arguments[0]
  }

  /// The time of day now in UTC, to the second.
  package static func timeOfDay() -> String { String(timestamp().dropFirst(11).dropLast()) }

  /// The time now in UTC, as in ISO 8601, to the second.
  package static func timestamp() -> String {
    var now = time_t()
    unsafe time(&now)
    var parts = unsafe tm()
    unsafe gmtime_r(&now, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let date = unsafe "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    return unsafe "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
  }
}
