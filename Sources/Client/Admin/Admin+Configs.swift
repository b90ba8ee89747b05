internal import KafkaWire

/// What has settings.
public enum ConfigResource: Hashable, Sendable {
  /// A topic, by its name.
  case topic(String)
  /// A broker, by its id; empty for the default of all.
  case broker(String)

  var type: Int8 { if case .topic = self { 2 } else { 4 } }

  var name: String {
    switch self {
    case .topic(let name), .broker(let name): name
    }
  }

  init?(type: Int8, name: String) {
    switch type {
    case 2: self = .topic(name)
    case 4: self = .broker(name)
    default: return nil
    }
  }
}

/// One setting.
public struct ConfigEntry: Hashable, Sendable {
  /// Kafka's name.
  public var name: String
  /// Nil where it is secret.
  public var value: String?
  /// Whether it is what nobody has set.
  public var isDefault: Bool
  /// Whether it cannot be changed while the broker runs.
  public var isReadOnly: Bool
  /// 1 topic, 2 broker, 3 all brokers, 4 the broker's file, 5 default.
  public var source: Int8
}

/// A change of one setting.
public enum ConfigChange: Hashable, Sendable {
  /// To this value.
  case set(String)
  /// Back to the default.
  case delete
  /// One more in a list.
  case append(String)
  /// One less in a list.
  case subtract(String)

  fileprivate var operation: (Int8, String?) {
    switch self {
    case .set(let value): (0, value)
    case .delete: (1, nil)
    case .append(let value): (2, value)
    case .subtract(let value): (3, value)
    }
  }
}

/// The brokers of a cluster.
public struct ClusterDescription: Hashable, Sendable {
  /// One broker.
  public struct Node: Hashable, Sendable {
    /// Its id.
    public var id: Int32
    /// Where it is.
    public var host: String
    /// Where it listens.
    public var port: Int32
  }

  /// The cluster's id.
  public var clusterID: String
  /// The broker that changes topics; -1 if there is none now.
  public var controller: Int32
  /// The brokers, by id.
  public var nodes: [Node]
}

extension Client {
  /// The cluster and its brokers.
  public func describeCluster() async throws(ClientError) -> ClusterDescription {
    try await asynchronously { (operation: Operation<ClusterDescription>) in
      perform(operation) { [options] network in
        network.retry(until: network.now + options.requestTimeoutMilliseconds) { attempt in
          network.fetchMetadata([], attempt)
        } _: { (result: Result<MetadataResponse, ClientError>) in
          operation.complete(
            result.map { response in
              ClusterDescription(
                clusterID: response.clusterId ?? "", controller: response.controllerId,
                nodes: response.brokers.sorted { $0.nodeId < $1.nodeId }.map {
                  ClusterDescription.Node(id: $0.nodeId, host: $0.host, port: $0.port)
                })
            })
        }
      }
    }
  }

  /// The settings of topics or brokers; each succeeds or fails alone.
  public func describeConfigs(
    _ resources: [ConfigResource]
  ) async throws(ClientError) -> Outcomes<ConfigResource, [ConfigEntry]> {
    try await asynchronously { (operation: Operation<Outcomes<ConfigResource, [ConfigEntry]>>) in
      let request = DescribeConfigsRequest.with { request in
        request.resources = resources.map { resource in
          .with {
            $0.resourceType = resource.type
            $0.resourceName = resource.name
            $0.configurationKeys = nil
          }
        }
      }
      ask(.any, request, operation.finish) { response in
        var outcomes: Outcomes<ConfigResource, [ConfigEntry]> = [:]
        for result in response.results {
          guard let resource = ConfigResource(type: result.resourceType, name: result.resourceName)
          else { continue }
          let doing = "describing the settings of \(result.resourceName)"
          outcomes[resource] =
            result.errorCode == .none
            ? .success(
              result.configs.map {
                ConfigEntry(
                  name: $0.name, value: $0.value, isDefault: $0.configSource == 5,
                  isReadOnly: $0.readOnly, source: $0.configSource)
              }) : .failure(ClientError(result.errorCode, doing, result.errorMessage))
        }
        return outcomes
      }
    }
  }

  /// Changes single settings; each resource succeeds or fails as a whole.
  public func alterConfigs(
    _ changes: [ConfigResource: [String: ConfigChange]], validateOnly: Bool = false
  ) async throws(ClientError) -> Outcomes<ConfigResource, Void> {
    try await asynchronously { (operation: Operation<Outcomes<ConfigResource, Void>>) in
      var request = IncrementalAlterConfigsRequest()
      request.validateOnly = validateOnly
      let resources = changes.keys.sorted { ($0.type, $0.name) < ($1.type, $1.name) }
      request.resources = resources.map { resource in
        var changed = IncrementalAlterConfigsRequest.Resource()
        changed.resourceType = resource.type
        changed.resourceName = resource.name
        let entries = (changes[resource] ?? [:]).sorted { $0.key < $1.key }
        changed.configs = entries.map { name, change in
          .with {
            $0.name = name
            ($0.configOperation, $0.value) = change.operation
          }
        }
        return changed
      }
      ask(.controller, request, operation.finish) { response in
        var outcomes: Outcomes<ConfigResource, Void> = [:]
        for result in response.responses {
          guard let resource = ConfigResource(type: result.resourceType, name: result.resourceName)
          else { continue }
          outcomes[resource] = Self.outcome(
            result.errorCode, "changing the settings of \(result.resourceName)", result.errorMessage
          )
        }
        return outcomes
      }
    }
  }
}
