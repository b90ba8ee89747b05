// An embedded store, without a server: one task appends, another tails, then a seek by time.
//
//     swift run -c release Tail /tmp/events
//
// Run it again on the same directory: it goes on where it stopped.

import LogStore

guard let directory = CommandLine.arguments.dropFirst().first else {
  print("usage: Tail DIRECTORY")
  throw LogError.disk("no directory was given")
}
let store = try await EventStore.open(directory)
let log = try await store.log("readings")
let start = try await log.offsets().upperBound
let count: Int64 = 10

let tail = Task {
  for try await stored in log.events(from: start) {
    print("read     \(stored.offset): \(String(decoding: stored.event.value ?? [], as: UTF8.self))")
    if stored.offset == start + count - 1 { return }
  }
}
for number in 0..<count {
  let event = Event(
    key: Array("sensor-1".utf8), value: Array("reading \(start + number)".utf8),
    timestamp: (start + number) * 1000)
  print("durable  \(try await log.append([event]))")
}
try await tail.value

let wanted = (start + count / 2) * 1000 - 500
let found = try await log.offset(atOrAfter: wanted)
print("the first reading at or after \(wanted) ms has offset \(found ?? -1)")
await store.close()
