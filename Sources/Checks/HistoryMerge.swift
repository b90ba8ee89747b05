/// Several histories of one clock as one, in the order of time: each process writes a file of its
/// own.
///
/// Of equal times, what begins is before what ends: then nothing is said to be after something that
/// it may not have been after. A file whose times go back a little stays in its own order.
package struct HistoryMerge {
  private struct Source {
    var reader = HistoryReader()
    var head: HistoryEvent?
    var time: UInt64 = 0
    var isAtEnd = false
  }

  /// Where an event was: the file's index and the line in it, from one.
  package struct Place: Equatable, Sendable {
    package var file: Int
    package var line: Int
  }

  private var sources: [Source]
  /// The next piece of a file, by its index; empty at its end.
  private let read: (Int) -> [UInt8]

  package init(files: Int, read: @escaping (Int) -> [UInt8]) {
    sources = [Source](repeating: Source(), count: files)
    self.read = read
  }

  package var tornLines: Int { sources.count { $0.isAtEnd && $0.reader.isTorn } }

  /// Fails with the file's index where a line is no event.
  package struct Failure: Error {
    package var file: Int
    package var error: HistoryError
  }

  package mutating func next() throws(Failure) -> (event: HistoryEvent, place: Place)? {
    var best = -1
    for index in sources.indices {
      try fill(index)
      guard let head = sources[index].head else { continue }
      guard best >= 0, let leading = sources[best].head else {
        best = index
        continue
      }
      let (time, other) = (sources[index].time, sources[best].time)
      if time < other || (time == other && head.isInvocation && !leading.isInvocation) {
        best = index
      }
    }
    guard best >= 0, var event = sources[best].head else { return nil }
    event.time = sources[best].time
    sources[best].head = nil
    return (event, Place(file: best, line: sources[best].reader.lineCount))
  }

  private mutating func fill(_ index: Int) throws(Failure) {
    while sources[index].head == nil, !sources[index].isAtEnd {
      do throws(HistoryError) {
        if let event = try sources[index].reader.next() {
          sources[index].head = event
          sources[index].time = max(sources[index].time, event.time)
          return
        }
      } catch {
        throw Failure(file: index, error: error)
      }
      let bytes = read(index)
      if bytes.isEmpty {
        sources[index].isAtEnd = true
      } else {
        sources[index].reader.feed(bytes)
      }
    }
  }
}
