internal import Platform

/// A call that somebody waits for: completed once, by an answer or by being cancelled, whichever is
/// first.
final class Operation<Value: Sendable>: Sendable {
  typealias Outcome = Result<Value, ClientError>

  private enum State: Sendable {
    case waiting(@Sendable (Outcome) -> Void)
    /// It was decided before anyone waited.
    case early(Outcome)
    case new
    case done
  }

  private let state = Condition(State.new)

  /// False if it has been completed already: then the value is the caller's to keep.
  @discardableResult
  func complete(_ outcome: Outcome) -> Bool {
    let (won, resume) = state.withLock { state -> (Bool, (@Sendable (Outcome) -> Void)?) in
      switch state {
      case .new:
        state = .early(outcome)
        return (true, nil)
      case .waiting(let resume):
        state = .done
        return (true, resume)
      case .early, .done: return (false, nil)
      }
    }
    resume?(outcome)
    return won
  }

  /// Whether nobody waits any more.
  var isDone: Bool {
    state.withLock {
      switch $0 {
      case .new, .waiting: false
      case .early, .done: true
      }
    }
  }

  func onCompletion(_ resume: @escaping @Sendable (Outcome) -> Void) {
    let early = state.withLock { state -> Outcome? in
      guard case .early(let outcome) = state else {
        state = .waiting(resume)
        return nil
      }
      state = .done
      return outcome
    }
    if let early { resume(early) }
  }
}

/// The asynchronous form of a call. Cancelling the task completes it with `.cancelled` at once.
func asynchronously<Value: Sendable>(
  _ start: (Operation<Value>) -> Void
) async throws(ClientError) -> Value {
  let operation = Operation<Value>()
  start(operation)
  let outcome = await withTaskCancellationHandler {
    await withCheckedContinuation { continuation in
      operation.onCompletion { continuation.resume(returning: $0) }
    }
  } onCancel: {
    operation.complete(.failure(.cancelled))
  }
  return try outcome.get()
}

/// The blocking form of a call, for threads that may block: neither Swift's cooperative pool nor
/// the client's own thread.
func blocking<Value: Sendable>(
  _ start: (Operation<Value>) -> Void
) throws(ClientError) -> Value {
  let operation = Operation<Value>()
  start(operation)
  let slot = Condition<Result<Value, ClientError>?>(nil)
  operation.onCompletion { outcome in
    slot.withLock { $0 = outcome }
    slot.broadcast()
  }
  return try slot.wait(until: { $0 != nil }) { $0 ?? .failure(.closed) }.get()
}

/// What lives on the client's thread, for messages to that thread to carry.
///
/// Unchecked: its owner is the client's thread. Whoever else holds one may only pass it on.
struct LoopOwned<Value>: @unchecked Sendable {
  let value: Value

  init(_ value: Value) { self.value = value }
}
