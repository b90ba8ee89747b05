internal import Broker
internal import LogStore
internal import Platform

/// `martlet serve`: one node, until a signal ends it.
struct Serve {
  private let directory: String
  private let listen: SocketAddress
  private let advertised: SocketAddress?
  private let http: SocketAddress?
  private let node: Int32
  private let settings: [(String, String)]

  init(_ arguments: Arguments) throws {
    try arguments.allow(["data", "node", "listen", "advertise", "http", "set"])
    guard let directory = try arguments.value("data") else {
      throw UsageError("--data says where the data is; give a directory.")
    }
    self.directory = directory
    listen = try Self.address(arguments, "listen") ?? SocketAddress(host: "127.0.0.1", port: 9092)
    advertised = try Self.address(arguments, "advertise")
    http = try Self.address(arguments, "http")
    let number = try arguments.value("node") ?? "1"
    guard let node = Int32(number), node >= 0 else {
      throw UsageError("--node is a number of zero or more, not '\(number)'.")
    }
    self.node = node
    settings = try arguments.values("set").map { setting in
      let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else {
        throw UsageError("--set takes NAME=VALUE, not '\(setting)'.")
      }
      return (parts[0], parts[1])
    }
  }

  private static func address(_ arguments: Arguments, _ name: String) throws -> SocketAddress? {
    guard let text = try arguments.value(name) else { return nil }
    guard let address = SocketAddress(text) else {
      throw UsageError("--\(name) takes HOST:PORT, not '\(text)'.")
    }
    return address
  }

  func run() throws {
    let loop = try EventLoop()
    let disk = try FileDisk(directory: directory) { [poster = loop.poster] in poster.wake() }
    guard disk.lockDirectory() else {
      throw UsageError("Another process has \(directory) open; stop it or take another --data.")
    }
    let store = try LogStore.open(
      disk, newID: UInt64.random(in: 1 ... .max), now: WallClock.milliseconds())
    let node = try Node(
      store: store, options: options(), file: settings, random: SystemRandomNumberGenerator(),
      now: WallClock.milliseconds())
    node.journalLatency = { disk.durableWriteLatency }
    let server = Server(node: node, disk: disk, loop: loop, log: Terminal.log)
    let port = try server.listen(listen)
    let told = advertised ?? SocketAddress(host: reachable(listen.host), port: port)
    node.advertise(host: told.host, port: told.port)
    let pages = StatusPages.responder(for: node, through: loop.poster)
    let metrics = try http.map { try HTTPServer($0, pages) }
    let signals = try Signals([Signals.terminate, Signals.interrupt], on: loop) { _ in
      Terminal.log("stopping")
      server.stop()
    }
    Terminal.log("node \(self.node) serves \(directory) on \(listen.host):\(port)")
    if let metrics { Terminal.log("metrics on port \(metrics.port)") }
    loop.run()
    withExtendedLifetime((metrics, signals)) {}
    Terminal.log("stopped")
  }

  private func options() -> NodeOptions {
    var options = NodeOptions()
    options.id = node
    options.apply(settings)
    return options
  }

  /// A client on this machine cannot connect to "any address".
  private func reachable(_ host: String) -> String {
    ["0.0.0.0", "::"].contains(host) ? "127.0.0.1" : host
  }
}
