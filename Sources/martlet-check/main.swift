import Checks
import Glibc

/// Judges histories of a cluster: exits with 0 if they are clean, 1 if not, 2 if they are none, as
/// one in which nothing was acknowledged.
let usage = """
  usage: martlet-check [--json] [--partial] [--gap MILLISECONDS] FILE...

  Judges the histories in these files, of one clock, as one. Exits with 0 if they are clean, with 1
  if not, and with 2 if they are no histories or nothing is acknowledged in them.

    --json              the report as one object of JSON
    --partial           a history that ends early: what cannot be judged is no violation
    --gap MILLISECONDS  the longest that no record of a partition may be acknowledged
                        while a majority of the nodes is well


  """

func fail(_ text: String) -> Never {
  let bytes = Array(text.utf8)
  _ = unsafe write(2, bytes, bytes.count)
  exit(2)
}

/// Files, read piece by piece.
final class Files {
  let names: [String]
  private var descriptors: [Int32]
  private var buffer = [UInt8](repeating: 0, count: 1 << 18)

  init(_ names: [String]) {
    self.names = names
    descriptors = names.map { name in
      let descriptor = unsafe open(name, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { fail("\(name): errno \(errno)\n") }
      return descriptor
    }
  }

  func piece(_ index: Int) -> [UInt8] {
    let count = unsafe read(descriptors[index], &buffer, buffer.count)
    guard count >= 0 else { fail("\(names[index]): errno \(errno)\n") }
    return Array(buffer[..<count])
  }

  deinit {
    for descriptor in descriptors { close(descriptor) }
  }
}

func forEach(_ names: [String], _ body: (HistoryEvent, HistoryMerge.Place) -> Void) -> Int {
  let files = Files(names)
  var merge = HistoryMerge(files: names.count) { files.piece($0) }
  do throws(HistoryMerge.Failure) {
    while let (event, place) = try merge.next() { body(event, place) }
  } catch {
    fail("\(names[error.file]): \(error.error)\n")
  }
  return merge.tornLines
}

/// The events that prove the violations, and where they are.
func proofs(_ report: HistoryReport, _ names: [String]) -> String {
  let wanted = Set(report.violations.flatMap(\.events))
  guard !wanted.isEmpty else { return "" }
  var text = "the events:\n"
  var number = 0
  _ = forEach(names) { event, place in
    number += 1
    guard wanted.contains(number) else { return }
    var writer = HistoryWriter()
    writer.write(event)
    let line = String(decoding: writer.take().prefix(400), as: UTF8.self)
    text += "\(number) (\(names[place.file]):\(place.line)) \(line)"
    if !line.hasSuffix("\n") { text += "...\n" }
  }
  return text
}

var names: [String] = []
var options = Judge.Options()
var isJSON = false
var isPartial = false
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
  switch argument {
  case "--json": isJSON = true
  case "--partial": isPartial = true
  case "--gap":
    guard let bound = arguments.popFirst().flatMap({ UInt64($0) }), bound < 1 << 40 else {
      fail(usage)
    }
    options.longestGapMax = bound * 1_000_000
  case "--help":
    print(usage, terminator: "")
    exit(0)
  default:
    if argument.hasPrefix("-") { fail(usage) }
    names.append(argument)
  }
}
if names.isEmpty { fail(usage) }

let judge = Judge(options: options)
let tornLines = forEach(names) { event, _ in judge.observe(event) }
var report = judge.finish()
report.tornLines = tornLines
print(isJSON ? report.json + "\n" : report.text + proofs(report, names), terminator: "")
if !report.isClean { exit(1) }
if !report.hasSubstance { exit(2) }
exit(isPartial || report.unjudged.isEmpty ? 0 : 1)
