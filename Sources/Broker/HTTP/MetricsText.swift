package import Platform

/// Builds Prometheus' text format. Samples of a family need not follow it: they are put in place.
package struct MetricsText {
  private var families: [(name: String, header: String, samples: [String])] = []

  package init() {}

  package mutating func family(_ name: String, _ type: String, _ help: String) {
    families.append((name, "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n", []))
  }

  package mutating func sample(_ name: String, _ labels: [(String, String)], _ value: String) {
    guard let index = families.firstIndex(where: { $0.name == name }) else {
      fatalError("the sample \(name) has no family")
    }
    let pairs = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
    families[index].samples.append(
      pairs.isEmpty ? "\(name) \(value)" : "\(name){\(pairs)} \(value)")
  }

  package mutating func histogramFamily(_ name: String, _ help: String) {
    families.append((name, "# HELP \(name) \(help)\n# TYPE \(name) histogram\n", []))
  }

  package mutating func histogram(
    _ name: String, _ labels: [(String, String)], _ histogram: LatencyHistogram
  ) {
    guard let index = families.firstIndex(where: { $0.name == name }) else {
      fatalError("the histogram \(name) has no family")
    }
    func line(_ suffix: String, _ labels: [(String, String)], _ value: String) -> String {
      let pairs = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
      return "\(name)\(suffix)\(pairs.isEmpty ? "" : "{\(pairs)}") \(value)"
    }
    var sum: UInt64 = 0
    for (bound, count) in zip(LatencyHistogram.boundsMicroseconds, histogram.counts) {
      sum += count
      let seconds = Double(bound) / 1e6
      families[index].samples.append(line("_bucket", labels + [("le", "\(seconds)")], "\(sum)"))
    }
    families[index].samples.append(
      line("_bucket", labels + [("le", "+Inf")], "\(histogram.count)"))
    families[index].samples.append(
      line("_sum", labels, "\(Double(histogram.sumMicroseconds) / 1e6)"))
    families[index].samples.append(line("_count", labels, "\(histogram.count)"))
  }

  package var text: String {
    families.map { $0.header + $0.samples.map { $0 + "\n" }.joined() }.joined()
  }

  private static func escaped(_ value: String) -> String {
    value.flatMap { character -> String in
      switch character {
      case "\\": "\\\\"
      case "\"": "\\\""
      case "\n": "\\n"
      default: String(character)
      }
    }.reduce(into: "") { $0.append($1) }
  }
}

extension HTTPResponse {
  /// Metrics in Prometheus' text format, version 0.0.4.
  package static func metrics(_ text: String) -> HTTPResponse {
    HTTPResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", text)
  }
}
