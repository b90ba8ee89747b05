/// What is to be done at later times, soonest first.
struct Timers {
  struct ID: Hashable {
    fileprivate let rawValue: UInt64
  }

  private struct Entry {
    let due: Int64
    let id: UInt64
    let action: () -> Void
  }

  /// Sorted by time, then by age; the soonest is the last. Few timers run at once.
  private var entries: [Entry] = []
  private var nextID: UInt64 = 1

  var nextDue: Int64? { entries.last?.due }

  mutating func add(due: Int64, _ action: @escaping () -> Void) -> ID {
    let entry = Entry(due: due, id: nextID, action: action)
    nextID += 1
    let index = entries.lastIndex { $0.due > due } ?? -1
    entries.insert(entry, at: index + 1)
    return ID(rawValue: entry.id)
  }

  mutating func cancel(_ id: ID) {
    if let index = entries.lastIndex(where: { $0.id == id.rawValue }) { entries.remove(at: index) }
  }

  /// All actions, which are then gone, the soonest first.
  mutating func takeAll() -> [() -> Void] {
    defer { entries = [] }
    return entries.reversed().map(\.action)
  }

  /// The action of the soonest timer that is due, which is then gone.
  mutating func takeDue(_ now: Int64) -> (() -> Void)? {
    guard let last = entries.last, last.due <= now else { return nil }
    entries.removeLast()
    return last.action
  }
}
