// What durability costs: the store's commit latency and throughput beside what the disk can do, in
// one run on one directory.
//
//   swift build -c release --product JournalBench && .build/release/JournalBench [--short]
//       [--seconds N] [--window N] [--rounds N] [--journal-files N] [DIRECTORY]
//
// Needs 6 GiB free in DIRECTORY (default: the current one), makes a directory of its own there and
// removes it.

import Glibc
import LogStore
import Platform

struct Arguments {
  var directory = "."
  var seconds = 60.0
  var window = 2
  var rounds = 2000
  var journalFiles = JournalOptions().filesMax

  init() {
    var rest = CommandLine.arguments.dropFirst()
    while let argument = rest.popFirst() {
      switch argument {
      case "--short":
        seconds = 10
        rounds = 500
      case "--seconds": seconds = rest.popFirst().flatMap { Double($0) } ?? seconds
      case "--rounds": rounds = rest.popFirst().flatMap { Int($0) } ?? rounds
      case "--journal-files":
        journalFiles = rest.popFirst().flatMap { Int($0) } ?? journalFiles
      case "--window": window = rest.popFirst().flatMap { Int($0) } ?? window
      default: directory = argument
      }
    }
  }
}

func megabytes(_ bytesPerSecond: Double) -> String { column(bytesPerSecond / 1e6) + " MB/s" }

func percent(_ part: Double, _ whole: Double) -> String {
  column(part / whole * 100, 6) + " %"
}

func removeTree(_ path: String) {
  var names: [String] = []
  if let directory = unsafe opendir(path) {
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    unsafe closedir(directory)
  }
  for name in names where unsafe unlink("\(path)/\(name)") != 0 { removeTree("\(path)/\(name)") }
  unsafe rmdir(path)
}

func run(_ arguments: Arguments, _ directory: String) throws {
  let growing = try RawDisk.growing(directory: directory)
  let asALog = try RawDisk.asALog(directory: directory, seconds: arguments.seconds / 4)
  let raw = try RawDisk(directory: directory)
  let latency = try raw.latency(writes: arguments.rounds)
  var bandwidths: [Double] = []
  for size in [1, 2, 8] {
    bandwidths.append(try raw.bandwidth(writeBytes: size << 20))
    print(
      "raw: O_DIRECT writes of \(size) MiB        ", megabytes(bandwidths.last ?? 0),
      "  synced each",
      megabytes(try raw.bandwidth(writeBytes: size << 20, syncEach: true)))
  }
  let best = bandwidths.max() ?? 1
  print("                                         p50 us   p99 us p99.9 us   to raw  to one log")
  print(
    "raw: 4 KiB pwrite + fdatasync        ",
    column(latency.at(0.5)), column(latency.at(0.99)), column(latency.at(0.999)))

  let small = try StoreDriver(
    directory: directory + "/small", logs: 256, journalFiles: arguments.journalFiles)
  _ = try small.commitLatency(logs: 256, rounds: 20)
  var one = 0.0
  for count in [1, 8, 32, 256] {
    let times = try small.commitLatency(logs: count, rounds: arguments.rounds)
    if count == 1 { one = times.at(0.5) }
    print(
      "commit: " + column("\(count)", 3) + " logs in one group           ",
      column(times.at(0.5)), column(times.at(0.99)), column(times.at(0.999)),
      column(times.at(0.5) / latency.at(0.5)), column(times.at(0.5) / one))
  }

  let large = try StoreDriver(
    directory: directory + "/large", logs: 32, journalFiles: arguments.journalFiles)
  // Makes all files of the journal, and every log's first segment.
  _ = try large.throughput(seconds: 60, bytesMax: 300 << 20, window: arguments.window)
  for _ in 0..<3 {
    try large.checkpoint()
    let first = try large.throughput(
      seconds: 60, bytesMax: 100 << 20, window: arguments.window)
    print(
      "until the first checkpoint           ", megabytes(first.bytesPerSecond),
      percent(first.bytesPerSecond, best), "of raw,", first.checkpoints, "checkpoints")
  }
  let before = try raw.sustained(seconds: arguments.seconds / 4)
  let long = try large.throughput(seconds: arguments.seconds, window: arguments.window)
  let after = try raw.sustained(seconds: arguments.seconds / 4)
  let rate = long.bytesPerSecond
  print(
    "sustained for \(Int(long.seconds)) s                    ", megabytes(rate), " across",
    long.checkpoints, "checkpoints; each byte is written twice")
  for (what, other) in [
    ("raw, synced, over blocks that were written", (before + after) / 2),
    ("raw, a file that grows", growing),
    ("raw, a synced stream beside new files", asALog),
  ] {
    print("  of " + what, megabytes(other), percent(rate, other))
  }
  print(
    "  commit of a batch, ms: p50", column(long.latency.at(0.5) / 1000, 1), "p99",
    column(long.latency.at(0.99) / 1000, 1), "p99.9", column(long.latency.at(0.999) / 1000, 1),
    "max", column(long.latency.max / 1000, 1), "of \(long.latency.count)")
}

let arguments = Arguments()
let place = arguments.directory + "/journal-bench-\(getpid())"
let here = try FileDisk(directory: place)
guard try here.freeSpace() > 6 << 30 else {
  removeTree(place)
  throw DiskError.noSpace("a bench that writes up to 6 GiB at a time")
}
let result = Result { try run(arguments, place) }
removeTree(place)
try result.get()
