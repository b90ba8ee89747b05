package import Broker
internal import Capture
internal import Platform
package import Processors

/// What runs in a process beside a node, or without one, for people and Prometheus.
package final class PartPages: Sendable {
  private struct Parts: Sendable {
    var captures: [RunningCapture] = []
    var processors: [ProcessorRunner] = []
  }

  private let parts = Condition(Parts())

  package init() {}

  /// From now on these are told of.
  package func set(captures: [RunningCapture] = [], processors: [ProcessorRunner] = []) {
    parts.withLock { $0 = Parts(captures: captures, processors: processors) }
  }

  /// Answers a path, where there is no node in the process.
  package func respond(_ path: String) -> HTTPResponse {
    switch path {
    case "/health": HTTPResponse(health)
    case "/metrics": .metrics(metrics)
    default: HTTPResponse(status: 404, "There are /health and /metrics here.\n")
    }
  }

  /// Bad when a part has ended for good: what waits goes on by itself.
  package var health: Health {
    let parts = parts.withLock { $0 }
    var failures: [String] = []
    var waits: [String] = []
    for capture in parts.captures {
      if let failure = capture.failure { failures.append("capture '\(capture.name)': \(failure)") }
    }
    for processor in parts.processors {
      switch processor.status.phase {
      case .failed(let why): failures.append("processor '\(processor.name)': \(why)")
      case .waiting(let why): waits.append("processor '\(processor.name)' waits: \(why)")
      case .starting, .running, .stopped: break
      }
    }
    return Health(failures: failures, notes: waits)
  }

  /// In Prometheus' text format.
  package var metrics: String {
    let parts = parts.withLock { $0 }
    var text = MetricsText()
    if !parts.captures.isEmpty { text.add(parts.captures) }
    if !parts.processors.isEmpty { text.add(parts.processors) }
    return text.text
  }
}

extension MetricsText {
  private mutating func family<Part>(
    _ name: String, _ type: String, _ help: String, _ parts: [Part],
    _ value: (Part) -> (name: String, value: String)
  ) {
    family(name, type, help)
    let label = name.hasPrefix("martlet_capture") ? "capture" : "processor"
    for part in parts {
      let (partName, number) = value(part)
      sample(name, [(label, partName)], number)
    }
  }

  private typealias Processor = (name: String, status: ProcessorStatus)
  private typealias Capture = (name: String, values: CaptureStatus.Values, failure: CaptureError?)

  private mutating func counter(
    _ parts: [Processor], _ name: String, _ help: String, _ value: (ProcessorStatus) -> UInt64
  ) {
    family("martlet_processor_\(name)_total", "counter", help, parts) {
      ($0.name, "\(value($0.status))")
    }
  }

  private mutating func gauge(
    _ parts: [Capture], _ name: String, _ help: String, type: String = "gauge",
    _ value: (CaptureStatus.Values) -> String
  ) {
    family("martlet_capture_\(name)", type, help, parts) { ($0.name, value($0.values)) }
  }

  fileprivate mutating func add(_ runners: [ProcessorRunner]) {
    let all: [Processor] = runners.map { ($0.name, $0.status) }
    counter(all, "records_in", "Records of the source that were processed.") { $0.counts.processed }
    counter(all, "records_out", "Records of results and dead letters, committed.") { $0.recordsOut }
    counter(all, "table_changes", "Rows written to or removed from tables.") { $0.tableChanges }
    counter(all, "dead_letters", "Records that could not be processed.") { $0.counts.deadLettered }
    counter(all, "late_records", "Contributions to windows that were over.") { $0.counts.late }
    counter(all, "ignored_records", "Records that were about no row.") { $0.counts.ignored }
    counter(all, "batches", "Transactions in the database of the results.") { $0.batches }
    counter(all, "restarts", "Times it began again because the log was lost.") {
      $0.attempts - min($0.attempts, 1)
    }
    family(
      "martlet_processor_lag_records", "gauge", "Records of the source that are not processed yet.")
    for (name, status) in all {
      for (partition, records) in status.lag {
        sample(
          "martlet_processor_lag_records", [("processor", name), ("partition", "\(partition)")],
          "\(records)")
      }
    }
    family(
      "martlet_processor_last_lag_milliseconds", "gauge",
      "From the source's commit to the result's, of the last change.", all
    ) { ($0.name, "\($0.status.lastLatencyMicroseconds / 1000)") }
    histogramFamily(
      "martlet_processor_lag_seconds", "From the source's commit to the result's.")
    for (name, status) in all {
      histogram("martlet_processor_lag_seconds", [("processor", name)], status.latencies)
    }
    family(
      "martlet_processor_running", "gauge", "1 while it processes what comes.", all
    ) { ($0.name, $0.status.phase == .running ? "1" : "0") }
    family("martlet_processor_last_error", "gauge", "Why it waited or failed last, as a label.")
    for (name, status) in all {
      guard let error = status.lastError else { continue }
      sample("martlet_processor_last_error", [("processor", name), ("error", error)], "1")
    }
  }

  fileprivate mutating func add(_ captures: [RunningCapture]) {
    let all: [Capture] = captures.map { ($0.name, $0.status, $0.failure) }
    gauge(all, "records_in_total", "Records made of changes.", type: "counter") {
      "\($0.recordsMade)"
    }
    gauge(all, "records_out_total", "Of these, durable in the log.", type: "counter") {
      "\($0.recordsDurable)"
    }
    gauge(all, "lag_records", "Records that are made and not durable.") {
      "\($0.recordsMade - min($0.recordsMade, $0.recordsDurable))"
    }
    gauge(all, "last_lag_milliseconds", "From a commit to its being in the log, the last.") {
      "\($0.lastLagMicroseconds / 1000)"
    }
    histogramFamily("martlet_capture_lag_seconds", "From a commit to its being durable in the log.")
    for (name, values, _) in all {
      histogram("martlet_capture_lag_seconds", [("capture", name)], values.lag)
    }
    gauge(all, "server_lsn", "End of the server's WAL, as it said last.") {
      "\($0.serverEnd.rawValue)"
    }
    gauge(all, "recorded_lsn", "How far the position topic is.") { "\($0.recorded.rawValue)" }
    gauge(all, "confirmed_lsn", "What Postgres was told it need not keep.") {
      "\($0.confirmed.rawValue)"
    }
    gauge(all, "slot_lag_bytes", "WAL that the slot holds back.") { "\($0.slotLagBytes)" }
    gauge(all, "snapshot_tables", "Tables of the snapshot.") { "\($0.snapshot?.tables ?? 0)" }
    gauge(all, "snapshot_tables_complete", "Of these, complete.") {
      "\($0.snapshot?.tablesComplete ?? 0)"
    }
    gauge(all, "snapshot_rows", "Rows of the snapshot so far.") { "\($0.snapshot?.rows ?? 0)" }
    gauge(all, "restarts_total", "Attempts after the first.", type: "counter") {
      "\($0.attempts - min($0.attempts, 1))"
    }
    gauge(all, "streaming", "1 while it follows the changes.") { $0.isStreaming ? "1" : "0" }
    family("martlet_capture_last_error", "gauge", "Why an attempt ended last, as a label.")
    for (name, values, failure) in all {
      guard let error = failure?.description ?? values.lastError else { continue }
      sample("martlet_capture_last_error", [("capture", name), ("error", error)], "1")
    }
  }
}
