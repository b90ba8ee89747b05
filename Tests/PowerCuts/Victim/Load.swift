import CForgetfulSync
import Glibc
import LogStore

/// What is appended, and by whom.
enum Load {
  static let logs = 4
  static let writersPerLog = 3

  /// Small enough that checkpoints, new segments and reused journal files come many times a second.
  static var options: LogStoreOptions {
    var options = LogStoreOptions()
    options.journal.fileBytes = 256 << 10
    options.journal.groupBytesMax = 64 << 10
    options.tails.writeBytes = 32 << 10
    options.tails.bytesMax = 512 << 10
    options.tails.chunkBytesMax = 16 << 10
    options.freeSpaceMin = 1 << 20
    options.reserveBytes = 64 << 10
    return options
  }

  static var logOptions: LogOptions {
    var options = LogOptions()
    options.segmentBytes = 128 << 10
    options.retentionMilliseconds = nil
    return options
  }

  /// The number as text, and a filling that follows from it.
  static func value(writer: Int, number: Int) -> [UInt8] {
    let size = (number &* 7919 &+ writer &* 104_729) % 700
    let fill = UInt8(truncatingIfNeeded: 33 + number % 90)
    return Array("\(writer) \(number) ".utf8) + [UInt8](repeating: fill, count: size)
  }

  /// Writer and number, if the value is what they make.
  static func decode(_ value: [UInt8]) -> (writer: Int, number: Int)? {
    let words = value.split(separator: 32, maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count == 3, let writer = Int(String(decoding: words[0], as: UTF8.self)),
      let number = Int(String(decoding: words[1], as: UTF8.self)),
      value == Self.value(writer: writer, number: number)
    else { return nil }
    return (writer, number)
  }
}

/// Writes a line with one call: whoever reads it never sees a part of it, nor waits for the rest.
func say(_ line: String, to file: Int32 = 1) {
  let bytes = Array((line + "\n").utf8)
  _ = write(file, bytes, bytes.count)
}

/// One log as it is in the store: where each event is, and what is wrong with it.
struct Found {
  /// By writer: the offsets of its events, by number.
  var offsets = [[Int64]](repeating: [], count: Load.writersPerLog)
  var problems: [String] = []

  init(_ log: EventLog) async throws {
    let range = try await log.offsets()
    var next = range.lowerBound
    if next != 0 { problems.append("\(log.name) begins at \(next)") }
    while next < range.upperBound {
      let events = try await log.read(from: next)
      if events.isEmpty {
        problems.append("\(log.name) has no event at \(next) of \(range.upperBound)")
        return
      }
      for event in events {
        if event.offset != next { problems.append("\(log.name): \(event.offset) is not \(next)") }
        next = event.offset + 1
        add(event, log.name)
      }
    }
  }

  private mutating func add(_ event: StoredEvent, _ log: String) {
    guard let (writer, number) = Load.decode(event.event.value ?? []),
      offsets.indices.contains(writer)
    else {
      problems.append("\(log), offset \(event.offset): not what was appended")
      return
    }
    let expected = offsets[writer].count
    if number != expected {
      problems.append(
        "\(log), offset \(event.offset): writer \(writer) is at \(number), not \(expected)")
    }
    offsets[writer].append(event.offset)
  }
}

/// Appends until the store takes no more, or until this process is killed.
func run(_ directory: String) async {
  if martlet_forgets_syncs() != 0 { say("fdatasync of the journal does nothing", to: 2) }
  do {
    let store = try await EventStore.open(directory, options: Load.options)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for name in 0..<Load.logs {
        let log = try await store.log("log-\(name)", options: Load.logOptions)
        let found = try await Found(log)
        for writer in 0..<Load.writersPerLog {
          var number = found.offsets[writer].count
          group.addTask {
            while true {
              let event = Event(value: Load.value(writer: writer, number: number))
              let offset = try await log.append([event])
              say("\(name) \(writer) \(number) \(offset)")
              number += 1
            }
          }
        }
      }
      try await group.waitForAll()
    }
  } catch {
    say("stopped: \(error)", to: 2)
    exit(1)
  }
}

/// Exits with 0 if every acknowledged event is where it was said to be and nothing else is wrong.
func verify(_ directory: String) async {
  var problems: [String] = []
  var acknowledged = 0
  var events = 0
  do {
    let store = try await EventStore.open(directory, options: Load.options)
    var found: [Found] = []
    for name in 0..<Load.logs {
      let log = try await store.log("log-\(name)", options: Load.logOptions)
      found.append(try await Found(log))
    }
    problems = found.flatMap(\.problems)
    events = found.reduce(0) { $0 + $1.offsets.reduce(0) { $0 + $1.count } }
    while let line = readLine() {
      let words = line.split(separator: " ").compactMap { Int64($0) }
      guard words.count == 4 else { continue }
      acknowledged += 1
      let offsets = found[Int(words[0])].offsets[Int(words[1])]
      if words[2] >= offsets.count || offsets[Int(words[2])] != words[3] {
        problems.append("lost: log \(words[0]), writer \(words[1]), number \(words[2])")
      }
    }
    await store.close()
  } catch {
    problems.append("\(error)")
  }
  guard problems.isEmpty else {
    say("\(problems.count) problems: \(problems.prefix(3).joined(separator: "; "))")
    exit(1)
  }
  say("\(acknowledged) acknowledged events of \(events) are there")
}
