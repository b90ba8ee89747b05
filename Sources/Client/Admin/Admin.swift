internal import KafkaWire

// Admin: topics, settings, groups and offsets, as extensions of `Client`. Every call is tried again
// while the failure is one that passes, for as long as one request may take.

extension Operation {
  /// As a completion.
  var finish: @Sendable (Outcome) -> Void { { self.complete($0) } }
}

extension Client {
  static func outcome(
    _ code: ErrorCode, _ doing: String, _ message: String?
  ) -> Result<Void, ClientError> {
    code == .none ? .success(()) : .failure(ClientError(code, doing, message))
  }

  /// Asks a broker and hands on what `read` makes of the answer.
  func ask<R: WireRequest, Value: Sendable>(
    _ destination: Network.Destination, _ request: R,
    _ completion: @escaping @Sendable (Result<Value, ClientError>) -> Void,
    _ read: @escaping @Sendable (R.Response) -> Value
  ) {
    ask(destination, R.self, { _ in request }, { completion($0.map(read)) })
  }

  func ask<R: WireRequest>(
    _ destination: Network.Destination, _ type: R.Type, _ request: @escaping @Sendable (Int16) -> R,
    _ completion: @escaping @Sendable (Result<R.Response, ClientError>) -> Void
  ) {
    let operation = Operation<R.Response>()
    operation.onCompletion(completion)
    perform(operation) { [options] network in
      network.retry(until: network.now + options.requestTimeoutMilliseconds) { attempt in
        network.send(R.self, to: destination, request, attempt)
      } _: {
        operation.complete($0)
      }
    }
  }

  /// As `ask`, of a group's coordinator. `check` finds an error in the answer that asking again, a
  /// coordinator that has moved perhaps, may mend.
  func askCoordinator<R: WireRequest>(
    of group: String, _ type: R.Type, _ request: @escaping @Sendable (Int16) -> R,
    check: @escaping @Sendable (R.Response) -> ErrorCode,
    _ completion: @escaping @Sendable (Result<R.Response, ClientError>) -> Void
  ) {
    let operation = Operation<R.Response>()
    operation.onCompletion(completion)
    perform(operation) { [options] network in
      network.retry(until: network.now + options.requestTimeoutMilliseconds) { attempt in
        network.findCoordinator(of: group, type: .group) { found in
          guard case .success(let node) = found else {
            return attempt(found.flatMap { _ in .failure(.closed) })
          }
          network.send(R.self, to: .node(node), request) { result in
            attempt(
              result.flatMap { response in
                let code = check(response)
                guard code.isRetriable else { return .success(response) }
                return .failure(ClientError(code, "\(R.api) for group \(group)"))
              })
          }
        }
      } _: {
        operation.complete($0)
      }
    }
  }
}
