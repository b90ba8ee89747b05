package import LogStore
package import Records

/// Where a record must be before its producer is told so (`martlet.ack`).
package enum AckPlace: String, CaseIterable, Sendable {
  /// On the disks of a majority of the replicas.
  case majorityDisk = "majority-disk"
  /// On the leader's disk.
  case leaderDisk = "leader-disk"
  /// In the leader's memory.
  case memory = "memory"
}

/// A topic's settings in force, as the types they are used in.
package struct TopicConfig: Equatable, Sendable {
  package var ack: AckPlace
  package var isDeleted: Bool
  package var isCompacted: Bool
  package var compression: Compression
  package var indexIntervalBytes: Int
  package var maxMessageBytes: Int
  package var timestampAfterMaxMilliseconds: Int64
  package var timestampBeforeMaxMilliseconds: Int64
  package var timestampType: TimestampType
  /// Nil keeps records for ever.
  package var retentionMilliseconds: Int64?
  /// Nil sets no bound.
  package var retentionBytes: Int64?
  package var segmentBytes: Int64
  package var segmentMilliseconds: Int64
  package var minInsyncReplicas: Int
  package var deleteRetentionMilliseconds: Int64
  package var maxCompactionLagMilliseconds: Int64
  package var minCompactionLagMilliseconds: Int64
  package var minCleanableDirtyRatio: Double

  /// `compression.type` with the level that goes with it.
  package enum Compression: Equatable, Sendable {
    case asProduced
    case codec(Codec, level: Int?)
  }

  package init(_ topic: ConfigValues, on broker: BrokerConfigs) {
    let reader = Reader(topic: topic, broker: broker)
    let policy = ConfigDefinition.elements(reader.text("cleanup.policy"))
    ack = AckPlace(rawValue: reader.text("martlet.ack")) ?? .majorityDisk
    isDeleted = policy.contains("delete")
    isCompacted = policy.contains("compact")
    compression = reader.compression
    indexIntervalBytes = Int(reader.number("index.interval.bytes"))
    maxMessageBytes = Int(reader.number("max.message.bytes"))
    timestampAfterMaxMilliseconds = reader.number("message.timestamp.after.max.ms")
    timestampBeforeMaxMilliseconds = reader.number("message.timestamp.before.max.ms")
    let type = reader.text("message.timestamp.type")
    timestampType = type == "LogAppendTime" ? .logAppendTime : .createTime
    retentionMilliseconds = reader.bound("retention.ms")
    retentionBytes = reader.bound("retention.bytes")
    segmentBytes = reader.number("segment.bytes")
    segmentMilliseconds = reader.number("segment.ms")
    minInsyncReplicas = Int(reader.number("min.insync.replicas"))
    deleteRetentionMilliseconds = reader.number("delete.retention.ms")
    maxCompactionLagMilliseconds = reader.number("max.compaction.lag.ms")
    minCompactionLagMilliseconds = reader.number("min.compaction.lag.ms")
    minCleanableDirtyRatio = reader.double("min.cleanable.dirty.ratio")
  }

  /// How the topic's logs are kept. Without `delete` in `cleanup.policy` nothing is deleted by age
  /// or size.
  package var logOptions: LogOptions {
    var options = LogOptions()
    options.segmentBytes = segmentBytes
    options.segmentMilliseconds = segmentMilliseconds
    options.retentionMilliseconds = isDeleted ? retentionMilliseconds : nil
    options.retentionBytes = isDeleted ? retentionBytes : nil
    options.indexIntervalBytes = indexIntervalBytes
    return options
  }

  /// What a Produce request of that version must satisfy.
  package func produceRules(version: Int16) -> ProduceRules {
    let compression: ProduceRules.Compression =
      switch compression {
      case .asProduced: .asProduced
      case .codec(let codec, let level): .codec(codec, level: level)
      }
    return ProduceRules(
      produceVersion: version, batchBytesMax: maxMessageBytes, segmentBytesMax: Int(segmentBytes),
      isCompacted: isCompacted, timestampType: timestampType,
      timestampBeforeMaxMilliseconds: timestampBeforeMaxMilliseconds,
      timestampAfterMaxMilliseconds: timestampAfterMaxMilliseconds, compression: compression)
  }
}

extension TopicConfig {
  /// Reads settings of the table. Values are checked when they are made and again when they are
  /// resolved, so one that does not read here is our own mistake.
  private struct Reader {
    let topic: ConfigValues
    let broker: BrokerConfigs

    func text(_ name: String) -> String {
      guard let definition = TopicConfigTable.definition(name),
        let value = broker.effective(definition, topic: topic).value
      else { preconditionFailure("\(name) has no value") }
      return value
    }

    func number(_ name: String) -> Int64 {
      let text = text(name)
      guard let number = Int64(text) else { preconditionFailure("\(name) is \(text)") }
      return number
    }

    func double(_ name: String) -> Double {
      let text = text(name)
      guard let number = Double(text) else { preconditionFailure("\(name) is \(text)") }
      return number
    }

    /// Nil for a negative number, which means: none.
    func bound(_ name: String) -> Int64? {
      let number = number(name)
      return number < 0 ? nil : number
    }

    var compression: Compression {
      let name = text("compression.type")
      guard let codec = Codec.allCases.first(where: { $0.name == name }) else { return .asProduced }
      switch codec {
      case .uncompressed, .snappy: return .codec(codec, level: nil)
      case .gzip:
        return .codec(codec, level: bound("compression.gzip.level").map { Int($0) })
      case .lz4: return .codec(codec, level: Int(number("compression.lz4.level")))
      // Below zero is a level here: faster than the fastest of the positive ones.
      case .zstd: return .codec(codec, level: Int(number("compression.zstd.level")))
      }
    }
  }
}
