import Foundation
import Testing

/// The house rules that a compiler does not know.
@Suite struct `The house is tidy` {
  /// What each module may import. What cannot import I/O cannot do I/O.
  private static let imports: [String: Set<String>] = [
    "Bytes": ["CCRC32C"],
    // Glibc: for the memory that the C libraries fill.
    "Records": ["Bytes", "CLZ4", "CSnappy", "CZlib", "CZstd", "Glibc"],
    "Platform": ["CLinux", "Glibc"],
    "LogStore": ["Bytes", "Records", "Platform"],
    "KafkaWire": ["Bytes"],
    "Replication": ["Bytes"],
    "Checks": ["Bytes"],
    "YAML": ["CYAML", "Glibc"],
    "Client": ["Bytes", "Records", "KafkaWire", "Platform"],
    // Glibc: for memcmp.
    "JSON": ["Glibc"],
    "ConnectData": ["JSON"],
    "Postgres": ["CLibpq", "Platform", "Glibc"],
    "Capture": [
      "Bytes", "Records", "JSON", "ConnectData", "Platform", "Client", "Postgres", "CPCRE2",
      "Glibc",
    ],
    "Processors": [
      "Bytes", "Records", "JSON", "ConnectData", "Platform", "Client", "Postgres", "CSQLite",
      "Glibc",
    ],
    "Pipeline": ["Broker", "Capture", "Client", "Platform", "Processors", "YAML"],
    "LocalCluster": ["Broker", "Platform"],
    "Demo": [
      "Broker", "Capture", "Client", "LocalCluster", "Pipeline", "Platform", "Processors",
      "Postgres",
    ],
    "Simulation": [
      "Bytes", "Records", "Platform", "LogStore", "KafkaWire", "Replication", "Broker", "Checks",
    ],
    "Broker": [
      "Bytes", "Records", "Platform", "LogStore", "KafkaWire", "CLinux", "CMicrohttpd", "Glibc",
      "Replication",
    ],
  ]

  /// Parts of the broker that decide and do nothing: no files, sockets or clocks.
  private static let pureFolders = [
    "Broker/Groups", "Broker/Topics", "Broker/Node", "Replication", "Capture/PgOutput",
    "Capture/Types", "Capture/Envelope",
  ]
  private static let pureImports: Set<String> = [
    "Bytes", "Records", "LogStore", "KafkaWire", "Platform", "JSON", "ConnectData", "Replication",
  ]

  private struct Source {
    var path: String
    var lines: [Substring]
  }

  private static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  private func sources(_ folders: [String]) throws -> [Source] {
    try folders.flatMap { folder in
      let base = Self.root.appending(path: folder)
      let files = FileManager.default.enumerator(atPath: base.path) ?? .init()
      return try files.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.sorted().map {
        let text = try String(contentsOf: base.appending(path: $0), encoding: .utf8)
        return Source(
          path: "\(folder)/\($0)",
          lines: text.split(separator: "\n", omittingEmptySubsequences: false))
      }
    }
  }

  private func imported(_ line: Substring) -> String? {
    let words = line.split(separator: " ")
    guard let index = words.firstIndex(of: "import"), index <= 1, index + 1 < words.count,
      index == 0 || ["public", "package", "internal", "private", "fileprivate"].contains(words[0])
    else { return nil }
    return String(words[index + 1])
  }

  @Test func `modules import only what they may`() throws {
    var seen: Set<String> = []
    for source in try sources(["Sources"]) {
      let parts = source.path.split(separator: "/")
      let module = String(parts[1])
      guard let allowed = Self.imports[module] else { continue }
      seen.insert(module)
      for name in source.lines.compactMap(imported) {
        #expect(allowed.contains(name), "\(source.path) imports \(name)")
      }
    }
    #expect(seen == Set(Self.imports.keys))
  }

  @Test func `what decides cannot do`() throws {
    for source in try sources(Self.pureFolders.map { "Sources/\($0)" }) {
      for name in source.lines.compactMap(imported) {
        #expect(Self.pureImports.contains(name), "\(source.path) imports \(name)")
      }
    }
  }

  @Test func `files are at most 600 lines of at most 100 columns`() throws {
    for source in try sources(["Sources", "Tests", "bench", "examples"]) {
      #expect(source.lines.count <= 601, "\(source.path) has \(source.lines.count) lines")
      for (index, line) in source.lines.enumerated() where line.count > 100 {
        // Test names are sentences.
        if source.path.hasPrefix("Tests"), line.contains("`") { continue }
        Issue.record("\(source.path):\(index + 1) has \(line.count) columns")
      }
    }
  }
}
