internal import Broker
internal import Platform

/// `martlet serve`: one node, until a signal ends it.
struct Serve {
  private let options: NodeHostOptions
  private let listen: SocketAddress

  init(_ arguments: Arguments) throws {
    try arguments.allow(["config", "data", "node", "listen", "advertise", "http", "cluster", "set"])
    let config = try arguments.value("config").map { try ServeConfig(path: $0) } ?? ServeConfig()
    (options, listen) = try Self.options(arguments, config)
  }

  /// What the command line says of a node, and `config` where it says nothing.
  static func options(
    _ arguments: Arguments, _ config: ServeConfig
  ) throws -> (NodeHostOptions, listen: SocketAddress) {
    guard let directory = try arguments.value("data") ?? config.data else {
      throw UsageError("--data says where the data is; give a directory.")
    }
    var options = NodeHostOptions(directory: directory)
    let listen =
      try Self.address(arguments, "listen") ?? config.listen
      ?? SocketAddress(host: "127.0.0.1", port: 9092)
    options.listen = listen
    options.advertised = try Self.address(arguments, "advertise") ?? config.advertise
    options.http = try Self.address(arguments, "http") ?? config.http
    options.nodeID = try Self.node(arguments) ?? config.node ?? 1
    if let text = try arguments.value("cluster") ?? config.cluster {
      options.cluster = try ClusterMembers.parse(text)
      guard let own = options.cluster.first(where: { $0.id == options.nodeID }) else {
        throw UsageError("--cluster does not name node \(options.nodeID), which this is.")
      }
      if try arguments.value("listen") == nil, config.listen == nil { options.listen = own.client }
    }
    let settings = try Self.settings(arguments)
    options.settings =
      config.settings.filter { name, _ in !settings.contains { $0.0 == name } } + settings
    return (options, options.listen ?? listen)
  }

  private static func node(_ arguments: Arguments) throws -> Int32? {
    guard let number = try arguments.value("node") else { return nil }
    guard let node = Int32(number), node >= 0 else {
      throw UsageError("--node is a number of zero or more, not '\(number)'.")
    }
    return node
  }

  private static func settings(_ arguments: Arguments) throws -> [(String, String)] {
    try arguments.values("set").map { setting in
      let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else {
        throw UsageError("--set takes NAME=VALUE, not '\(setting)'.")
      }
      return (parts[0], parts[1])
    }
  }

  static func address(_ arguments: Arguments, _ name: String) throws -> SocketAddress? {
    guard let text = try arguments.value(name) else { return nil }
    guard let address = SocketAddress(text) else {
      throw UsageError("--\(name) takes HOST:PORT, not '\(text)'.")
    }
    return address
  }

  func run() throws {
    let node = try HostedNode(options, log: Terminal.log)
    let signals = try Signals(
      [Signals.terminate, Signals.interrupt, Signals.hangUp], on: node.loop
    ) { _ in
      Terminal.log("stopping")
      node.stop()
    }
    let port = node.port ?? listen.port
    Terminal.log("node \(options.nodeID) serves \(options.directory) on \(listen.host):\(port)")
    if let port = node.httpPort { Terminal.log("metrics on port \(port)") }
    node.run()
    withExtendedLifetime(signals) {}
    Terminal.log("stopped")
  }
}
