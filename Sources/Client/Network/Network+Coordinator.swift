internal import KafkaWire
internal import Platform

extension Network {
  enum CoordinatorType: Int8 {
    case group = 0
    case transaction = 1
  }

  /// The broker that coordinates a group or a transactional id.
  func findCoordinator(
    of name: String, type: CoordinatorType,
    _ completion: @escaping (Result<Int32, ClientError>) -> Void
  ) {
    send(FindCoordinatorRequest.self, to: .any) { version in
      var request = FindCoordinatorRequest()
      request.keyType = type.rawValue
      if version >= 4 { request.coordinatorKeys = [name] } else { request.key = name }
      return request
    } _: { [weak self] result in
      guard let self else { return completion(.failure(.closed)) }
      completion(result.flatMap { self.coordinator($0, of: name) })
    }
  }

  private func coordinator(
    _ response: FindCoordinatorResponse, of name: String
  ) -> Result<Int32, ClientError> {
    let doing = "finding the coordinator of \(name)"
    if let found = response.coordinators.first {
      guard found.errorCode == .none else {
        return .failure(ClientError(found.errorCode, doing, found.errorMessage))
      }
      metadata.learn(found.nodeId, found.host, found.port)
      return .success(found.nodeId)
    }
    guard response.errorCode == .none else {
      return .failure(ClientError(response.errorCode, doing, response.errorMessage))
    }
    metadata.learn(response.nodeId, response.host, response.port)
    return .success(response.nodeId)
  }
}
