package import Client
internal import Platform

extension ProcessorRunner {
  /// A processor that reads and writes through clients of its own. The sink is made on the
  /// processor's thread, which alone uses it.
  package convenience init(
    name: String, task: ProcessorTask, sink: @escaping @Sendable () -> any Sink,
    makeClient: @escaping @Sendable () throws(ClientError) -> Client,
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    let clients = NewestClient(makeClient)
    self.init(
      name: name, task: task, sink: sink, transport: { ClientTransport(clients.make) },
      interrupt: clients.close, notice: notice)
  }
}

/// Makes clients one after another, and closes the last one from another thread.
private final class NewestClient: Sendable {
  private struct State {
    var client: Client?
    var isClosed = false
  }

  private let makeClient: @Sendable () throws(ClientError) -> Client
  private let state = Condition(State())

  init(_ makeClient: @escaping @Sendable () throws(ClientError) -> Client) {
    self.makeClient = makeClient
  }

  @Sendable func make() throws(ClientError) -> Client {
    let client = try makeClient()
    let isClosed = state.withLock { state in
      state.client = client
      return state.isClosed
    }
    if isClosed { client.close() }
    return client
  }

  @Sendable func close() {
    let client = state.withLock { state in
      state.isClosed = true
      return state.client
    }
    client?.close()
  }
}
