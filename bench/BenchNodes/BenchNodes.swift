package import Platform

package struct BenchError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// A number that the command line gives after `--name`.
package func option(_ name: String, _ standard: Int) -> Int {
  guard let text = word(name), let value = Int(text) else { return standard }
  return value
}

/// What the command line gives after `--name`.
package func word(_ name: String) -> String? {
  let words = CommandLine.arguments
  guard let index = words.firstIndex(of: "--\(name)"), index + 1 < words.count else { return nil }
  return words[index + 1]
}

/// Milliseconds with three digits behind the point.
package func milliseconds(_ microseconds: Int64?) -> String {
  guard let microseconds else { return "-" }
  return "\(microseconds / 1000).\(String(1000 + microseconds % 1000).dropFirst())"
}

package func quantiles(_ sketch: LatencySketch) -> String {
  let shares = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)]
  return shares.map { "\($0.0) \(milliseconds(sketch.quantile($0.1)))" }.joined(separator: ", ")
    + " ms"
}

/// The nodes of a cluster on this host, each a process: `martlet serve` from beside the bench.
package final class BenchNodes {
  private let directory: String
  private let settings: [String]
  private let cluster: String
  package let addresses: [SocketAddress]
  private var processes: [ChildProcess?]

  /// Starts `count` nodes, with settings as `--set` takes them. Call it and `start` on the main
  /// thread: they end with it.
  package init(_ count: Int, in directory: String, settings: [String] = []) throws {
    self.directory = directory
    self.settings = settings
    guard let ports = Socket.freePorts(2 * count) else {
      throw BenchError("this host has no \(2 * count) free ports from 20000 to 31999")
    }
    addresses = ports.prefix(count).map { SocketAddress(host: "127.0.0.1", port: $0) }
    cluster = zip(addresses, ports.dropFirst(count)).enumerated()
      .map { "\($0.offset + 1)@\($0.element.0)/\($0.element.1)" }
      .joined(separator: ",")
    processes = Array(repeating: nil, count: count)
    for index in 0..<count { try start(index) }
  }

  package var bootstrap: [String] { addresses.map(\.description) }

  package func start(_ index: Int) throws {
    let binary =
      Console.executable.split(separator: "/", omittingEmptySubsequences: false)
      .dropLast().joined(separator: "/") + "/martlet"
    var words = [
      binary, "serve", "--data", "\(directory)/\(index + 1)", "--node", "\(index + 1)",
      "--listen", "\(addresses[index])",
    ]
    if addresses.count > 1 { words += ["--cluster", cluster] }
    for setting in settings { words += ["--set", setting] }
    processes[index] = try ChildProcess(
      words, output: "\(directory)/\(index + 1).log", endsWithThread: true)
  }

  /// kill -9; what it has left is for `start`.
  package func kill(_ index: Int) {
    processes[index]?.kill()
    processes[index]?.wait()
  }

  package func process(_ index: Int) -> Int32 { processes[index]?.id ?? 0 }

  package func stop() {
    for process in processes { process?.terminate() }
    for process in processes { process?.wait() }
  }
}
