import Glibc

/// Another process, whose output is read line by line.
final class Child {
  struct Failed: Error {
    let command: String
    let output: String
  }

  let pid: pid_t
  private let output: Int32
  private var buffer: [UInt8] = []
  private var status: Int32?

  /// Starts it; standard input is a file or nothing. What it writes to standard error is ours.
  init(_ command: [String], environment: [String] = [], input: String = "/dev/null") throws {
    var pipes: [Int32] = [0, 0]
    guard pipe(&pipes) == 0 else { throw Failed(command: "pipe", output: "errno \(errno)") }
    for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
    let arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    let variables: [UnsafeMutablePointer<CChar>?] =
      (["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + environment).map { strdup($0) } + [nil]
    defer { for string in arguments + variables { free(string) } }
    var pid: pid_t = 0
    let failure = posix_spawnp(&pid, command[0], &actions, nil, arguments, variables)
    close(pipes[1])
    guard failure == 0 else {
      close(pipes[0])
      throw Failed(command: command.joined(separator: " "), output: "errno \(failure)")
    }
    self.pid = pid
    output = pipes[0]
  }

  deinit {
    if status == nil {
      kill()
      _ = wait()
    }
    close(output)
  }

  /// The next whole line of its output; nil when it has ended.
  func line() -> String? {
    while true {
      if let end = buffer.firstIndex(of: 10) {
        defer { buffer.removeSubrange(...end) }
        return String(decoding: buffer[..<end], as: UTF8.self)
      }
      var bytes = [UInt8](repeating: 0, count: 65_536)
      let count = read(output, &bytes, bytes.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return nil }
      buffer += bytes[..<count]
    }
  }

  func lines() -> [String] {
    var lines: [String] = []
    while let line = line() { lines.append(line) }
    return lines
  }

  func kill() { Glibc.kill(pid, SIGKILL) }

  /// Waits for it to end. Zero if it did so by itself and was content.
  func wait() -> Int32 {
    if let status { return status }
    var ended: Int32 = 0
    while waitpid(pid, &ended, 0) < 0, errno == EINTR {}
    status = ended
    return ended
  }

  /// Runs a command to its end and returns what it said.
  @discardableResult
  static func run(_ command: String...) throws -> String {
    let child = try Child(command)
    let output = child.lines().joined(separator: "\n")
    guard child.wait() == 0 else {
      throw Failed(command: command.joined(separator: " "), output: output)
    }
    return output
  }
}
