/// Deadlines in the order of their times: a binary heap whose entries know their places.
///
/// A heartbeat moves its member's deadline, so moving must be cheap and must leave nothing behind:
/// with lazy deletion, members that join and leave in a loop would fill memory with entries that
/// wait out their session timeouts. Owners keep a ticket; tickets name slots, slots know their
/// place in the heap. Moving or cancelling costs O(log n) and hashes nothing.
///
/// (1) `slots[heap[i].slot].place == i` for every i: each entry has one slot and is found through
///     it.
/// (2) Among equal times the one scheduled first comes first, so that the order is the same in
///     every run.
package struct DeadlineQueue<Owner: Sendable>: Sendable {
  /// Worth nothing once its deadline was met or cancelled: slots are used again, numbers are not.
  package struct Ticket: Hashable, Sendable {
    fileprivate let slot: Int
    fileprivate let number: UInt64
  }

  private struct Entry: Sendable {
    var time: Int64
    var number: UInt64
    var slot: Int

    static func < (a: Entry, b: Entry) -> Bool {
      (a.time, a.number) < (b.time, b.number)
    }
  }

  private struct Slot: Sendable {
    var owner: Owner?
    var ticketNumber: UInt64
    var place: Int
  }

  private var heap: [Entry] = []
  private var slots: [Slot] = []
  private var freeSlots: [Int] = []
  private var scheduledCount: UInt64 = 0

  package init() {}

  package var count: Int { heap.count }

  /// The earliest deadline.
  package var next: Int64? { heap.first?.time }

  /// Sets the deadline that `ticket` stands for, or moves it.
  package mutating func schedule(
    _ ticket: inout Ticket?, at time: Int64, for owner: @autoclosure () -> Owner
  ) {
    scheduledCount += 1
    if let place = place(of: ticket) {
      heap[place].time = time
      heap[place].number = scheduledCount
      sift(place)
      return
    }
    let slot = freeSlots.popLast() ?? slots.count
    let entry = Slot(owner: owner(), ticketNumber: scheduledCount, place: heap.count)
    if slot == slots.count { slots.append(entry) } else { slots[slot] = entry }
    heap.append(Entry(time: time, number: scheduledCount, slot: slot))
    ticket = Ticket(slot: slot, number: scheduledCount)
    sift(heap.count - 1)
  }

  package mutating func cancel(_ ticket: inout Ticket?) {
    defer { ticket = nil }
    guard let place = place(of: ticket) else { return }
    remove(at: place)
  }

  /// Takes out one whose time has come.
  package mutating func popDue(now: Int64) -> Owner? {
    guard let first = heap.first, first.time <= now else { return nil }
    let owner = slots[first.slot].owner
    remove(at: 0)
    return owner
  }

  private func place(of ticket: Ticket?) -> Int? {
    guard let ticket else { return nil }
    let slot = slots[ticket.slot]
    return slot.owner != nil && slot.ticketNumber == ticket.number ? slot.place : nil
  }

  private mutating func remove(at place: Int) {
    let slot = heap[place].slot
    slots[slot].owner = nil
    freeSlots.append(slot)
    let last = heap.removeLast()
    if place < heap.count {
      put(last, at: place)
      sift(place)
    }
  }

  private mutating func put(_ entry: Entry, at place: Int) {
    heap[place] = entry
    slots[entry.slot].place = place
  }

  /// Moves one entry up or down to where it belongs.
  private mutating func sift(_ start: Int) {
    let entry = heap[start]
    var place = start
    while place > 0, entry < heap[(place - 1) / 2] {
      put(heap[(place - 1) / 2], at: place)
      place = (place - 1) / 2
    }
    while true {
      var child = 2 * place + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < entry else { break }
      put(heap[child], at: place)
      place = child
    }
    put(entry, at: place)
  }
}
