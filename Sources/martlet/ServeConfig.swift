internal import Broker
internal import Platform
internal import YAML

/// `martlet.yaml`: what the options of `martlet serve` say, in a file. The command line wins.
///
/// ```yaml
/// data: /var/lib/martlet
/// node: 1
/// listen: 127.0.0.1:9092
/// advertise: kafka.example.org:9092
/// http: 127.0.0.1:8080
/// cluster: 1@127.0.0.1:9092/19092,2@127.0.0.1:9093/19093,3@127.0.0.1:9094/19094
/// settings:            # broker settings, by Kafka's names
///   log.retention.hours: 24
/// ```
struct ServeConfig {
  var data: String?
  var node: Int32?
  var listen: SocketAddress?
  var advertise: SocketAddress?
  var http: SocketAddress?
  var cluster: String?
  var settings: [(String, String)] = []

  static let keys = ["data", "node", "listen", "advertise", "http", "cluster", "settings"]

  init() {}

  init(path: String) throws {
    do throws(YAMLError) {
      try self.init(try YAMLDocument.read(path: path))
    } catch {
      throw UsageError(error.line > 0 ? "\(path), \(error)" : error.text)
    }
  }

  init(_ document: YAMLNode) throws(YAMLError) {
    for entry in try document.entries(of: "the configuration", known: Self.keys) {
      let value = entry.value
      switch entry.key {
      case "data": data = try value.text(of: "data")
      case "node": node = try value.integer(of: "node", 0...Int32.max)
      case "listen": listen = try Self.address(entry)
      case "advertise": advertise = try Self.address(entry)
      case "http": http = try Self.address(entry)
      case "cluster": cluster = try value.text(of: "cluster")
      default:
        settings = try value.entries(of: "settings").map(Self.setting)
      }
    }
  }

  private static func setting(
    _ entry: YAMLNode.Entry
  ) throws(YAMLError) -> (String, String) {
    let text = try entry.value.text(of: entry.key)
    guard let definition = BrokerConfigTable.definition(entry.key) else {
      throw YAMLError(line: entry.line, "There is no broker setting '\(entry.key)'.")
    }
    do throws(ConfigFault) {
      _ = try definition.canonical(text)
    } catch {
      throw YAMLError(line: entry.line, "\(error)")
    }
    return (entry.key, text)
  }

  private static func address(_ entry: YAMLNode.Entry) throws(YAMLError) -> SocketAddress {
    let text = try entry.value.text(of: entry.key)
    guard let address = SocketAddress(text) else {
      throw YAMLError(line: entry.value.line, "\(entry.key) is HOST:PORT, not '\(text)'.")
    }
    return address
  }
}
