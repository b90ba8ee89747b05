// swift-tools-version: 6.2
import PackageDescription

/// What every target is compiled with. Memory-unsafe constructs must be marked `unsafe` where they
/// stand; a warning is an error.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]
let production: [SwiftSetting] = strict + [.strictMemorySafety()]

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: production)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func bench(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies, path: "bench/\(name)", swiftSettings: production)
}

func library(_ name: String, path: String? = nil, pkgConfig: String, apt: String) -> Target {
  .systemLibrary(name: name, path: path, pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let package = Package(
  name: "martlet",
  products: [
    .library(name: "LogStore", targets: ["LogStore"]),
    .library(name: "Client", targets: ["Client"]),
  ],
  targets: [
    // The kernel and the CPU: headers only.
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CCRC32C"),
    // Debian's libraries.
    library("CLZ4", pkgConfig: "liblz4", apt: "liblz4-dev"),
    library("CLibpq", pkgConfig: "libpq", apt: "libpq-dev"),
    library("CMicrohttpd", pkgConfig: "libmicrohttpd", apt: "libmicrohttpd-dev"),
    library("CPCRE2", pkgConfig: "libpcre2-8", apt: "libpcre2-dev"),
    library("CSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),
    library("CSnappy", pkgConfig: "snappy", apt: "libsnappy-dev"),
    library("CYAML", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),
    library("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
    library("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),

    module("Bytes", ["CCRC32C"]),
    module("Records", ["Bytes", "CLZ4", "CSnappy", "CZlib", "CZstd"]),
    module("Platform", ["CLinux"]),
    module("LogStore", ["Bytes", "Records", "Platform"]),
    module("Replication", ["Bytes"]),
    module("Checks", ["Bytes"]),
    module("KafkaWire", ["Bytes"]),
    module("JSON", []),
    module("ConnectData", ["JSON"]),
    module("Postgres", ["CLibpq", "Platform"]),
    module(
      "Broker",
      ["Replication", "Bytes", "Records", "Platform", "LogStore", "KafkaWire", "CMicrohttpd"]),
    module("Client", ["Bytes", "Records", "KafkaWire", "Platform"]),
    module(
      "Capture",
      [
        "Bytes", "Records", "JSON", "ConnectData", "Platform", "Client", "Postgres", "CPCRE2",
      ]),
    module(
      "Processors",
      [
        "Bytes", "Records", "JSON", "ConnectData", "Platform", "Client", "Postgres", "CSQLite",
      ]),
    module("Pipeline", ["Broker", "Capture", "Client", "Platform", "Processors", "YAML"]),
    module("LocalCluster", ["Broker", "Platform"]),
    module(
      "Demo",
      [
        "Broker", "Capture", "Client", "LocalCluster", "Pipeline", "Platform", "Processors",
        "Postgres",
      ]),
    module("YAML", ["CYAML"]),
    module(
      "Simulation",
      [
        "Bytes", "Records", "Platform", "LogStore", "KafkaWire", "Replication", "Broker", "Checks",
      ]),

    tests("BytesTests", ["Bytes"]),
    tests("ChecksTests", ["Bytes", "Checks"]),
    tests("RecordsTests", ["Bytes", "Records"], resources: [.copy("Data")]),
    tests("LogStoreTests", ["Bytes", "Records", "Platform", "LogStore", "Simulation"]),
    tests("SimulationTests", ["Simulation", "martlet-sim"]),
    tests("ReplicationTests", ["Bytes", "Replication"], resources: [.copy("Data")]),
    tests("KafkaWireTests", ["Bytes", "KafkaWire"], resources: [.copy("Data")]),

    // Power cuts: what the power fails under, a disk that forgets, and the suite that cuts.
    library("CFuse3", path: "Tests/PowerCuts/CFuse3", pkgConfig: "fuse3", apt: "libfuse3-dev"),
    .target(name: "CForgetfulSync", path: "Tests/PowerCuts/CForgetfulSync"),
    .executableTarget(
      name: "power-victim", dependencies: ["LogStore", "CForgetfulSync"],
      path: "Tests/PowerCuts/Victim", swiftSettings: strict),
    .executableTarget(
      name: "forgetful-file", dependencies: ["CFuse3"], path: "Tests/PowerCuts/ForgetfulFile"),
    .testTarget(
      name: "PowerCutTests", path: "Tests/PowerCuts/Suite", swiftSettings: strict),

    .executableTarget(
      name: "martlet",
      dependencies: [
        "Broker", "Capture", "Client", "Demo", "JSON", "LocalCluster", "Pipeline", "Platform",
        "Processors", "YAML",
      ],
      swiftSettings: production),
    .executableTarget(
      name: "martlet-sim", dependencies: ["Platform", "Simulation"], swiftSettings: production),
    .executableTarget(
      name: "martlet-check", dependencies: ["Checks"], swiftSettings: production),
    .executableTarget(
      name: "replica-reader",
      dependencies: ["Bytes", "CZlib", "Checks", "LogStore", "Platform", "Records"],
      path: "Tests/Chaos/ReplicaReader", swiftSettings: strict),
    .executableTarget(
      name: "Tail", dependencies: ["LogStore"], path: "examples/Tail", swiftSettings: production),

    tests(
      "BrokerTests",
      [
        "Bytes", "Records", "Platform", "LogStore", "Replication", "KafkaWire", "Broker",
        "Simulation",
      ]),
    tests(
      "ClientTests",
      ["Bytes", "Records", "Platform", "LogStore", "KafkaWire", "Broker", "Client"]),
    tests(
      "CaptureTests",
      ["Bytes", "Records", "ConnectData", "Platform", "Broker", "Client", "Postgres", "Capture"],
      resources: [.copy("Data")]),
    tests("JSONTests", ["JSON", "ConnectData"]),
    tests("ProcessorsTests", ["Bytes", "Records", "Platform", "Client", "Postgres", "Processors"]),
    tests("PipelineTests", ["Broker", "Capture", "Pipeline", "Platform", "Processors"]),
    tests("LocalClusterTests", ["LocalCluster"]),
    tests("DemoTests", ["Demo", "LocalCluster", "Platform", "Postgres"]),
    tests("YAMLTests", ["YAML"]),
    tests("TidyTests", []),

    .target(
      name: "BenchNodes", dependencies: ["Platform"], path: "bench/BenchNodes",
      swiftSettings: production),
    bench("CeilingBroker", ["Broker", "Bytes", "KafkaWire", "Platform", "Records"]),
    bench("CaptureBench", ["Capture", "CLinux"]),
    bench("ClientBench", ["BenchNodes", "Broker", "CLinux", "Client", "Platform"]),
    bench(
      "FailoverBench",
      ["BenchNodes", "Bytes", "CLinux", "Client", "KafkaWire", "Platform", "Records"]),
    bench("JournalBench", ["Bytes", "CLinux", "LogStore", "Platform", "Records"]),
    bench("ProcessorBench", ["Platform", "Processors"]),
    bench("RecordsBench", ["Bytes", "Records"]),
    bench(
      "RestartBench", ["BenchNodes", "Broker", "CLinux", "Client", "LocalCluster", "Platform"]),
    bench("WireBench", ["Bytes", "KafkaWire"]),
  ]
)
