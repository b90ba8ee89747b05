/// What happens next in a simulation: by time, and of equal times what was scheduled first.
struct EventQueue {
  private struct Item {
    var time: Int64
    var sequence: UInt64
    var action: () -> Void

    func isBefore(_ other: Item) -> Bool {
      time < other.time || (time == other.time && sequence < other.sequence)
    }
  }

  private var heap: [Item] = []
  private var sequence: UInt64 = 0

  var nextTime: Int64? { heap.first?.time }

  mutating func add(at time: Int64, _ action: @escaping () -> Void) {
    sequence += 1
    heap.append(Item(time: time, sequence: sequence, action: action))
    var index = heap.count - 1
    while index > 0, heap[index].isBefore(heap[(index - 1) / 2]) {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  mutating func next() -> (time: Int64, action: () -> Void)? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if !heap.isEmpty {
      heap[0] = last
      var index = 0
      while true {
        var least = index
        for child in [2 * index + 1, 2 * index + 2]
        where child < heap.count && heap[child].isBefore(heap[least]) {
          least = child
        }
        if least == index { break }
        heap.swapAt(index, least)
        index = least
      }
    }
    return (first.time, first.action)
  }

  /// The simulation is over: what was scheduled holds on to it.
  mutating func removeAll() { heap = [] }
}
