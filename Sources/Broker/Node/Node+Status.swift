internal import Bytes
internal import KafkaWire
internal import LogStore
package import Platform

/// What people and Prometheus see of a node.
extension Node {
  /// The address that clients are told, once it is known.
  package func advertise(host: String, port: UInt16) {
    options.host = host
    options.port = port
  }

  /// A full disk is only noted: the node serves readers and is to be told what to delete, and
  /// starting it again helps nobody.
  var health: Health {
    let failed = (failure ?? failedLogsText).map { [$0] } ?? []
    return Health(failures: failed, notes: fullText.map { [$0] } ?? [])
  }

  /// Prometheus' text format, version 0.0.4.
  func metricsText() -> String {
    var text = MetricsText()
    addRequests(&text)
    addGroups(&text)
    text.family("martlet_topic_records_in_total", "counter", "Records produced, by topic.")
    let counts = metrics.topics.sorted { $0.key < $1.key }
    for (topic, counts) in counts {
      text.sample("martlet_topic_records_in_total", [("topic", topic)], "\(counts.records)")
    }
    text.family("martlet_topic_bytes_in_total", "counter", "Bytes of batches produced, by topic.")
    for (topic, counts) in counts {
      text.sample("martlet_topic_bytes_in_total", [("topic", topic)], "\(counts.bytesIn)")
    }
    text.family(
      "kafka_server_brokertopicmetrics_messagesinpersec_total", "counter",
      "Records produced, by topic, under the name that Kafka's dashboards use.")
    for (topic, counts) in counts {
      text.sample(
        "kafka_server_brokertopicmetrics_messagesinpersec_total", [("topic", topic)],
        "\(counts.records)")
    }
    text.family("martlet_bytes_out_total", "counter", "Bytes of records fetched.")
    text.sample("martlet_bytes_out_total", [], "\(metrics.bytesOut)")
    text.family("martlet_log_size_bytes", "gauge", "Size of a partition's log.")
    text.family("martlet_log_end_offset", "gauge", "Next offset of a partition.")
    for (name, topic) in topics.sorted(by: { $0.key < $1.key }) {
      for (index, partition) in topic.partitions.enumerated() {
        guard let log = partition?.log, let bounds = try? store.bounds(of: log) else { continue }
        let labels = [("topic", name), ("partition", "\(index)")]
        text.sample("martlet_log_size_bytes", labels, "\(bounds.sizeBytes)")
        text.sample("martlet_log_end_offset", labels, "\(bounds.end.rawValue)")
      }
    }
    text.family("martlet_disk_full", "gauge", "1 if the disk is full and records are refused.")
    text.sample("martlet_disk_full", [], store.isFullOfRecords ? "1" : "0")
    if let free = store.freeSpace {
      text.family("martlet_disk_free_bytes", "gauge", "Bytes free on the disk.")
      text.sample("martlet_disk_free_bytes", [], "\(free)")
    }
    text.family("martlet_store_failed", "gauge", "1 if the store takes no more records.")
    text.sample("martlet_store_failed", [], failure == nil ? "0" : "1")
    addFailedLogs(&text)
    addDurability(&text)
    addCluster(&text)
    return text.text
  }

  private func addRequests(_ text: inout MetricsText) {
    text.family(
      "martlet_requests_total", "counter", "Requests answered, by API and first error in them.")
    let requests = metrics.requests.map { request, count in
      let code = request.error
      let error = code == .none ? "NONE" : code.name ?? "\(code.rawValue)"
      return (api: "\(request.api)", error: error, count: count)
    }
    for request in requests.sorted(by: { ($0.api, $0.error) < ($1.api, $1.error) }) {
      text.sample(
        "martlet_requests_total", [("api", request.api), ("error", request.error)],
        "\(request.count)")
    }
    text.histogramFamily(
      "martlet_request_duration_seconds", "From a request's last byte to its answer.")
    for (api, histogram) in metrics.latencies.sorted(by: { "\($0.key)" < "\($1.key)" }) {
      text.histogram("martlet_request_duration_seconds", [("api", "\(api)")], histogram)
    }
  }

  private func addDurability(_ text: inout MetricsText) {
    text.histogramFamily(
      "martlet_append_duration_seconds",
      "From a batch's place in its leader's log to its being on that node's disk.")
    text.histogram("martlet_append_duration_seconds", [], metrics.appendLatency)
    text.histogramFamily(
      "martlet_commit_duration_seconds",
      "From a batch's place in its leader's log to its being on the disks of a majority.")
    text.histogram("martlet_commit_duration_seconds", [], metrics.commitLatency)
    text.family(
      "martlet_cold_fetches_total", "counter",
      "Fetches that waited until what they are to get was read from the disk.")
    text.sample("martlet_cold_fetches_total", [], "\(metrics.coldFetches)")
    guard let durable = journalLatency?() else { return }
    text.histogramFamily(
      "martlet_journal_write_duration_seconds", "One write of the journal with its fdatasync.")
    text.histogram("martlet_journal_write_duration_seconds", [], durable)
  }

  /// How far each group's committed offsets are behind what can be read.
  private func addGroups(_ text: inout MetricsText) {
    text.family(
      "martlet_group_lag", "gauge", "Records that a group has not committed, by partition.")
    text.family("kafka_consumer_lag_sum", "gauge", "The same, summed over a topic's partitions.")
    var sums: [(group: String, topic: String, lag: Int64)] = []
    for committed in groups.committedOffsets {
      guard let log = topics[committed.topic]?.partition(committed.partition)?.log,
        let bounds = try? store.bounds(of: log)
      else { continue }
      let lag = max(0, bounds.readable.rawValue - committed.offset)
      text.sample(
        "martlet_group_lag",
        [
          ("group", committed.group), ("topic", committed.topic),
          ("partition", "\(committed.partition)"),
        ], "\(lag)")
      if let last = sums.last, last.group == committed.group, last.topic == committed.topic {
        sums[sums.count - 1].lag += lag
      } else {
        sums.append((committed.group, committed.topic, lag))
      }
    }
    for sum in sums {
      text.sample(
        "kafka_consumer_lag_sum", [("consumergroup", sum.group), ("topic", sum.topic)],
        "\(sum.lag)")
    }
  }
}

/// The pages behind `--http`. They are asked for on another thread than the node's.
package enum StatusPages {
  private final class Box: @unchecked Sendable {
    // Used on the loop's thread only, where the message that carries it runs.
    let node: Node
    init(_ node: Node) { self.node = node }
  }

  /// A function that answers a path by asking the node on its own thread.
  package static func responder(
    for node: Node, through mailbox: Mailbox, and parts: @escaping @Sendable () -> String,
    health: @escaping @Sendable () -> Health
  ) -> @Sendable (String) -> HTTPResponse {
    let box = Box(node)
    return { path in
      // Of what else runs here: no business of the node's thread.
      let others = path == "/health" ? health() : Health()
      var response = ask(path, box, mailbox, others)
      if path == "/metrics", response.status == 200 { response.body += parts() }
      return response
    }
  }

  private static func ask(
    _ path: String, _ box: Box, _ mailbox: Mailbox, _ others: Health
  ) -> HTTPResponse {
    let answer = Condition<HTTPResponse?>(nil)
    mailbox.post {
      let response = respond(path, box.node, others)
      answer.withLock { $0 = response }
      answer.signal()
    }
    // A loop that does not come round in this time is what a health check is to find.
    return answer.wait(until: { $0 != nil }, milliseconds: 5000) {
      $0 ?? HTTPResponse(Health(failures: ["The node does not answer."]) + others)
    }
  }

  /// On the thread of the node; `others` is how the rest of the process is.
  package static func respond(
    _ path: String, _ node: Node, _ others: Health = Health()
  ) -> HTTPResponse {
    switch path {
    case "/health":
      return HTTPResponse(node.health + others)
    case "/metrics":
      return .metrics(node.metricsText())
    default:
      return HTTPResponse(status: 404, "There are /health and /metrics here.\n")
    }
  }
}
