internal import Bytes

/// Writes events as lines; `HistoryLine` has the form.
package struct HistoryWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  /// What was written since the last time.
  package mutating func take() -> [UInt8] {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes
  }

  package mutating func write(_ event: HistoryEvent) {
    raw("{\"t\":\(event.time),\"p\":\(event.process),\"e\":\"")
    fields(event.what)
    raw("}\n")
  }

  private mutating func fields(_ what: HistoryEvent.What) {
    switch what {
    case .named(let kind, let number, let name):
      raw("name\",\"of\":\"\(kind)\",\"number\":\(number),\"text\":")
      string(name)
    case .cluster(let nodes): raw("cluster\",\"nodes\":\(nodes)")
    case .partition(let number, let isCompacted, let trims):
      raw("part\",\"part\":\(number),\"compact\":\(isCompacted),\"trims\":\(trims)")
    case .produceInvoked(let operation, let partition, let producer, let records):
      raw("produce\",\"op\":\(operation),\"part\":\(partition)")
      self.producer(producer)
      raw(",\"records\":[")
      list(records) { "[\($0.value),\($0.crc)]" }
    case .produceAnswered(let operation, let outcome):
      raw("produced\",\"op\":\(operation),\"outcome\":")
      switch outcome {
      case .failed: raw("\"failed\"")
      case .unknown: raw("\"unknown\"")
      case .ok(let offset, let epoch, let node):
        raw("\"ok\",\"offset\":\(offset.rawValue),\"epoch\":\(epoch.rawValue),\"node\":\(node)")
      }
    case .producerIDGiven(let id, let epoch, let isBump):
      raw("producer\",\"producer\":[\(id.rawValue),\(epoch.rawValue)],\"bump\":\(isBump)")
    default: reading(what)
    }
  }

  private mutating func reading(_ what: HistoryEvent.What) {
    switch what {
    case .positioned(let partition, let offset):
      raw("position\",\"part\":\(partition),\"offset\":\(offset.rawValue)")
    case .polled(let partition, let records, let highWatermark):
      raw("poll\",\"part\":\(partition),\"hw\":\(highWatermark.rawValue)")
      seen(records)
    case .endInvoked(let operation, let partition):
      raw("end\",\"op\":\(operation),\"part\":\(partition)")
    case .endAnswered(let operation, let offset):
      raw("ended\",\"op\":\(operation)")
      if let offset { raw(",\"offset\":\(offset.rawValue)") }
    case .watermarks(let partition, let marks):
      raw("marks\",\"part\":\(partition),\"epoch\":\(marks.epoch.rawValue)")
      raw(",\"hw\":\(marks.high.rawValue),\"stable\":\(marks.stable.rawValue)")
      raw(",\"start\":\(marks.start.rawValue)")
    case .led(let partition, let epoch, let node):
      raw("leader\",\"part\":\(partition),\"epoch\":\(epoch.rawValue),\"node\":\(node)")
    case .assigned(let group, let generation, let partitions):
      raw("assigned\",\"group\":\(group),\"gen\":\(generation),\"parts\":[")
      list(partitions) { "\($0)" }
    case .commitInvoked(let operation, let group, let generation, let partition, let offset):
      raw("commit\",\"op\":\(operation),\"group\":\(group),\"gen\":\(generation)")
      raw(",\"part\":\(partition),\"offset\":\(offset.rawValue)")
    case .commitAnswered(let operation, let outcome):
      raw("committed\",\"op\":\(operation),\"outcome\":\"\(outcome)\"")
    case .offsetFetchInvoked(let operation, let group, let partition):
      raw("fetch\",\"op\":\(operation),\"group\":\(group),\"part\":\(partition)")
    case .offsetFetchAnswered(let operation, let offset):
      raw("fetched\",\"op\":\(operation)")
      if let offset { raw(",\"offset\":\(offset.rawValue)") }
    default: rest(what)
    }
  }

  private mutating func rest(_ what: HistoryEvent.What) {
    switch what {
    case .faultBegan(let fault, let kind, let nodes):
      raw("fault\",\"id\":\(fault),\"text\":")
      string(kind)
      raw(",\"nodes\":[")
      list(nodes) { "\($0)" }
    case .faultEnded(let fault): raw("healed\",\"id\":\(fault)")
    case .durable(let partition, let ends, let quorum):
      raw("durable\",\"part\":\(partition),\"quorum\":\(quorum),\"ends\":[")
      list(ends) { "\($0.rawValue)" }
    case .finalRead(let reader, let partition, let producer, let records):
      raw("final\",\"reader\":\(reader),\"part\":\(partition)")
      self.producer(producer)
      seen(records)
    case .finalRange(let reader, let partition, let start, let end):
      raw("range\",\"reader\":\(reader),\"part\":\(partition)")
      raw(",\"start\":\(start.rawValue),\"end\":\(end.rawValue)")
    case .finalHash(let node, let partition, let start, let end, let hash):
      raw("hash\",\"node\":\(node),\"part\":\(partition),\"start\":\(start.rawValue)")
      raw(",\"end\":\(end.rawValue),\"hash\":\(hash)")
    case .table(let name, let position, let isSource, let rows, let hash):
      raw("table\",\"position\":\(position),\"side\":\"\(isSource ? "source" : "log")\"")
      raw(",\"rows\":\(rows),\"hash\":\(hash),\"text\":")
      string(name)
    case .limits(let limits):
      raw("limits\"")
      resources(limits)
    case .resources(let node, let used):
      raw("used\",\"node\":\(node)")
      resources(used)
    case .errorCode(let code): raw("error\",\"code\":\(code)")
    default: fatalError("an event without a form")
    }
  }

  private mutating func resources(_ now: Resources) {
    raw(",\"rss\":\(now.memoryBytes),\"files\":\(now.descriptors),\"threads\":\(now.threads)")
    raw(",\"disk\":\(now.diskBytes)")
  }

  private mutating func producer(_ producer: HistoryProducer?) {
    guard let producer else { return }
    if producer == .unsaid {
      raw(",\"idem\":true")
    } else {
      raw(",\"producer\":[\(producer.id.rawValue),\(producer.epoch.rawValue),")
      raw("\(producer.sequence)]")
    }
  }

  private mutating func seen(_ records: [SeenRecord]) {
    raw(",\"records\":[")
    list(records) { "[\($0.offset.rawValue),\($0.value),\($0.crc),\($0.epoch.rawValue)]" }
  }

  private mutating func list<Element>(_ elements: [Element], _ text: (Element) -> String) {
    for (index, element) in elements.enumerated() {
      if index > 0 { raw(",") }
      raw(text(element))
    }
    raw("]")
  }

  package mutating func string(_ text: String) {
    bytes.append(contentsOf: JSONQuoted.bytes(text))
  }

  private mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }
}

enum JSONQuoted {
  static func bytes(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = [UInt8(ascii: "\"")]
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0..<0x20:
        let digits = Array("0123456789abcdef".utf8)
        bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    return bytes + [UInt8(ascii: "\"")]
  }
}
