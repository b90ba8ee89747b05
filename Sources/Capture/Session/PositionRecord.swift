internal import JSON

/// How far a connector is: what the position topic has under the connector's name.
///
/// Written, and durable, before Postgres is told. JSON, so that people can read it; unknown members
/// are ignored, so that older programs can read newer records.
package struct PositionRecord: Equatable, Sendable {
  package enum Phase: String, Sendable {
    /// The slot is being made; nothing of it has been used.
    case creating
    /// Rows that were there at the beginning are being written.
    case snapshot
    case streaming
    /// `snapshot.mode=initial_only`: all rows are written, and there is nothing more to do.
    case finished
  }

  package struct Generation: Equatable, Sendable {
    /// The snapshot saw all transactions that committed before this.
    package var lsn: LSN

    package init(lsn: LSN) { self.lsn = lsn }
  }

  package struct Table: Equatable, Sendable {
    /// `schema.table`.
    package var name: String
    /// The generation, counted from 1, in which its last row was written; nil while rows are
    /// missing.
    package var completed: Int?
    /// Its rows are written again by each generation, because a row cannot be told from another.
    package var repeats = false

    package init(name: String, completed: Int? = nil, repeats: Bool = false) {
      self.name = name
      self.completed = completed
      self.repeats = repeats
    }
  }

  package var phase: Phase
  /// All changes of transactions that committed before this LSN are in the topics.
  package var through: LSN
  package var slot: String
  package var publication: String
  package var database: String
  package var system: SystemIdentity
  /// What a snapshot's positions begin with (`CapturePosition.major`).
  package var base: UInt64 = 0
  package var generations: [Generation] = []
  package var tables: [Table] = []
  /// How changes are divided among partitions; nil in a record that was written before it was kept.
  package var partitions: OutputPartitions?
  /// Logical messages are among what is counted by the ordinals of changes. They were not in
  /// records of before; a transaction that was written in part goes on being counted as it was.
  package var countsMessages = false

  package init(
    phase: Phase, through: LSN, slot: String, publication: String, database: String,
    system: SystemIdentity
  ) {
    self.phase = phase
    self.through = through
    self.slot = slot
    self.publication = publication
    self.database = database
    self.system = system
  }
}

/// Which history of changes an LSN belongs to.
package struct SystemIdentity: Equatable, Sendable {
  /// Made by initdb; a copy of the files keeps it.
  package var identifier: String
  /// Raised when a standby takes over, and when a server is restored to an earlier time.
  package var timeline: Int32

  package init(identifier: String, timeline: Int32) {
    self.identifier = identifier
    self.timeline = timeline
  }
}

/// A position record that cannot be read.
package struct PositionRecordError: Error, Equatable, CustomStringConvertible {
  package var description: String
}

extension PositionRecord {
  package var json: String {
    let generations = generations.map { ["lsn": .string("\($0.lsn)")] as JSONValue }
    let tables = tables.map { table in
      var members: [JSONValue.Member] = [.init("name", .string(table.name))]
      if let completed = table.completed {
        members.append(.init("completed", .number("\(completed)")))
      }
      if table.repeats { members.append(.init("repeats", .bool(true))) }
      return JSONValue.object(members)
    }
    var members: [JSONValue.Member] = [
      .init("version", .number("1")),
      .init("phase", .string(phase.rawValue)),
      .init("through", .string("\(through)")),
      .init("slot", .string(slot)),
      .init("publication", .string(publication)),
      .init("database", .string(database)),
      .init("system", .string(system.identifier)),
      .init("timeline", .number("\(system.timeline)")),
      .init("base", .string("\(LSN(base))")),
      .init("generations", .array(generations)),
      .init("tables", .array(tables)),
    ]
    if countsMessages { members.append(.init("messages", .bool(true))) }
    if let partitions { members.append(.init("partitions", partitions.json)) }
    return JSONValue.object(members).description
  }

  package init(json bytes: some Sequence<UInt8>) throws(PositionRecordError) {
    let value: JSONValue
    do {
      value = try JSONValue(parsing: bytes)
    } catch {
      throw PositionRecordError(description: "it is not JSON: \(error)")
    }
    guard value["version"] == .number("1") else {
      throw PositionRecordError(description: "it is of another version")
    }
    func text(_ name: String) throws(PositionRecordError) -> String {
      guard let text = value[name]?.text else {
        throw PositionRecordError(description: "'\(name)' is missing")
      }
      return text
    }
    func lsn(_ value: JSONValue?, _ name: String) throws(PositionRecordError) -> LSN {
      guard let text = value?.text, let lsn = LSN(text) else {
        throw PositionRecordError(description: "'\(name)' is not an LSN")
      }
      return lsn
    }
    guard let phase = Phase(rawValue: try text("phase")) else {
      throw PositionRecordError(description: "there is no such phase")
    }
    guard let timeline = value["timeline"]?.integer.flatMap(Int32.init(exactly:)) else {
      throw PositionRecordError(description: "'timeline' is missing")
    }
    self.init(
      phase: phase, through: try lsn(value["through"], "through"), slot: try text("slot"),
      publication: try text("publication"), database: try text("database"),
      system: SystemIdentity(identifier: try text("system"), timeline: timeline))
    base = try lsn(value["base"], "base").rawValue
    guard case .array(let generations) = value["generations"],
      case .array(let tables) = value["tables"]
    else { throw PositionRecordError(description: "generations or tables are missing") }
    for generation in generations {
      self.generations.append(Generation(lsn: try lsn(generation["lsn"], "generations")))
    }
    for table in tables {
      guard let name = table["name"]?.text else {
        throw PositionRecordError(description: "a table has no name")
      }
      let completed = table["completed"]?.integer.flatMap(Int.init(exactly:))
      guard completed.map({ $0 >= 1 && $0 <= generations.count }) ?? true else {
        throw PositionRecordError(description: "'\(name)' was completed by no generation")
      }
      self.tables.append(
        Table(name: name, completed: completed, repeats: table["repeats"] == .bool(true)))
    }
    countsMessages = value["messages"] == .bool(true)
    if let partitions = value["partitions"] {
      self.partitions = try OutputPartitions(json: partitions)
    }
  }
}
