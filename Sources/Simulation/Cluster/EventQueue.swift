/// What happens next in a simulation: by time, and of equal times what was scheduled first.
///
/// The heap holds numbers only, so that moving them counts no references.
struct EventQueue {
  private struct Item {
    var time: Int64
    var sequence: UInt64
    /// Its place in `actions`.
    var slot: Int

    func isBefore(_ other: Item) -> Bool {
      time < other.time || (time == other.time && sequence < other.sequence)
    }
  }

  private var heap: [Item] = []
  private var actions: [(() -> Void)?] = []
  private var free: [Int] = []
  private var sequence: UInt64 = 0

  var nextTime: Int64? { heap.first?.time }

  mutating func add(at time: Int64, _ action: @escaping () -> Void) {
    sequence += 1
    let slot: Int
    if let known = free.popLast() {
      slot = known
      actions[slot] = action
    } else {
      slot = actions.count
      actions.append(action)
    }
    let item = Item(time: time, sequence: sequence, slot: slot)
    heap.append(item)
    var index = heap.count - 1
    while index > 0 {
      let parent = (index - 1) / 2
      guard item.isBefore(heap[parent]) else { break }
      heap[index] = heap[parent]
      index = parent
    }
    heap[index] = item
  }

  mutating func next() -> (time: Int64, action: () -> Void)? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if !heap.isEmpty {
      var index = 0
      while true {
        var child = 2 * index + 1
        guard child < heap.count else { break }
        if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
        guard heap[child].isBefore(last) else { break }
        heap[index] = heap[child]
        index = child
      }
      heap[index] = last
    }
    guard let action = actions[first.slot].take() else {
      preconditionFailure("an event that happened already")
    }
    free.append(first.slot)
    return (first.time, action)
  }

  /// The simulation is over: what was scheduled holds on to it.
  mutating func removeAll() {
    heap = []
    actions = []
    free = []
  }
}
