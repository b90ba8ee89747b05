/// Requests that wait for somebody to lead what they are about, in order, and none of them longer
/// than until its deadline.
struct WaitingRequests<Wanted> {
  struct Waiting {
    let request: Request
    let wanted: Wanted
    /// Milliseconds of the steady clock.
    let deadline: Int64
  }

  private var waiting: [Waiting] = []

  var isEmpty: Bool { waiting.isEmpty }
  var count: Int { waiting.count }

  mutating func add(_ request: Request, _ wanted: Wanted, until deadline: Int64) {
    waiting.append(Waiting(request: request, wanted: wanted, deadline: deadline))
  }

  /// Those that have waited long enough, or wait for nothing any more.
  mutating func take(where isOver: (Waiting) -> Bool) -> [Waiting] {
    guard !waiting.isEmpty else { return [] }
    let all = waiting
    var taken: [Waiting] = []
    waiting = []
    for one in all {
      if isOver(one) { taken.append(one) } else { waiting.append(one) }
    }
    return taken
  }
}
