internal import CLinux
internal import Glibc

/// A program could not be started, or said that it failed.
package struct ProcessError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// A program that runs beside this one. What it writes goes to a file.
///
/// One owner: it is not for several threads.
package final class ChildProcess {
  private let process: pid_t
  private var status: Int32?

  /// Starts `arguments[0]`, looked up in the PATH, with this process's environment.
  ///
  /// `endsWithThread`: it is killed when the thread that calls this has ended, or its process in
  /// whatever way. Only for a thread that lives as long as the program is to.
  package init(
    _ arguments: [String], output: String, endsWithThread: Bool = false
  ) throws(ProcessError) {
    var words: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) }
    unsafe words.append(nil)
    defer { unsafe words.forEach { word in unsafe free(word) } }
    var started = pid_t()
    let failure =
      endsWithThread
      ? unsafe martlet_spawn_bound(&started, words, output)
      : unsafe Self.spawn(&started, arguments[0], words, output)
    guard failure == 0 else {
      throw ProcessError("'\(arguments[0])' cannot be started: \(errorText(failure)).")
    }
    process = started
  }

  private static func spawn(
    _ started: inout pid_t, _ program: String, _ words: [UnsafeMutablePointer<CChar>?],
    _ output: String
  ) -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(
      &actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Signals that this process has blocked to wait for them are not blocked over there.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    // A group of its own, so that Ctrl-C in the terminal reaches the parent alone.
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETPGROUP))
    return unsafe posix_spawnp(
      &started, program, &actions, &attributes, words, martlet_environment())
  }

  /// Waits for its end; the exit status, or 128 and the signal that ended it.
  @discardableResult
  package func wait() -> Int32 {
    if let status { return status }
    var raw: Int32 = 0
    while unsafe waitpid(process, &raw, 0) < 0, errno == EINTR {}
    return ended(raw)
  }

  package var isRunning: Bool {
    guard status == nil else { return false }
    var raw: Int32 = 0
    guard unsafe waitpid(process, &raw, WNOHANG) == process else { return true }
    _ = ended(raw)
    return false
  }

  private func ended(_ raw: Int32) -> Int32 {
    let signal = raw & 0x7f
    let value = signal == 0 ? (raw >> 8) & 0xff : 128 + signal
    status = value
    return value
  }

  /// Calls `ended` when the process has ended, at once, on a thread of its own. Who owns it finds
  /// out the status.
  package func whenEnded(_ ended: @escaping @Sendable () -> Void) {
    Thread.start("martlet-watch") { [process] in
      var info = unsafe siginfo_t()
      // It is left to be waited for. One that was waited for already has ended, too.
      while unsafe waitid(P_PID, id_t(process), &info, WEXITED | WNOWAIT) < 0, errno == EINTR {}
      ended()
    }
  }

  package var id: Int32 { process }

  package func interrupt() { signal(SIGINT) }
  package func terminate() { signal(SIGTERM) }
  package func quit() { signal(SIGQUIT) }
  package func kill() { signal(SIGKILL) }

  private func signal(_ number: Int32) {
    if isRunning { _ = Glibc.kill(process, number) }
  }

  /// Runs a program to its end; throws with the end of what it wrote if it failed.
  package static func run(_ arguments: [String], output: String) throws(ProcessError) {
    let child = try ChildProcess(arguments, output: output)
    let status = child.wait()
    guard status == 0 else {
      throw ProcessError(
        "'\(arguments.joined(separator: " "))' ended with \(status); see \(output).")
    }
  }
}

/// Whose rights this process has.
package enum ProcessUser {
  package static var isRoot: Bool { geteuid() == 0 }
}
