import Broker
import Bytes
import Testing

@Suite struct `A queue of deadlines` {
  @Test func `is in order, and first come first served among equals`() {
    var queue = DeadlineQueue<String>()
    var tickets: [DeadlineQueue<String>.Ticket?] = Array(repeating: nil, count: 5)
    for (index, time) in [30, 10, 20, 10, 40].enumerated() {
      queue.schedule(&tickets[index], at: Int64(time), for: "\(index)")
    }
    queue.schedule(&tickets[4], at: 10, for: "moved, so the name stays")
    queue.cancel(&tickets[2])
    #expect(queue.next == 10)
    #expect(queue.popDue(now: 9) == nil)
    var met: [String] = []
    while let owner = queue.popDue(now: 30) { met.append(owner) }
    #expect(met == ["1", "3", "4", "0"])
    #expect(queue.count == 0)
    #expect(queue.next == nil)
  }

  @Test func `ignores tickets of deadlines that were met`() {
    var queue = DeadlineQueue<String>()
    var old: DeadlineQueue<String>.Ticket?
    queue.schedule(&old, at: 1, for: "old")
    #expect(queue.popDue(now: 1) == "old")
    var new: DeadlineQueue<String>.Ticket?
    queue.schedule(&new, at: 2, for: "new")
    queue.cancel(&old)
    #expect(old == nil)
    #expect(queue.popDue(now: 2) == "new")
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `does what a sorted list does`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var queue = DeadlineQueue<Int>()
    var tickets: [Int: DeadlineQueue<Int>.Ticket?] = [:]
    var model: [(time: Int64, order: Int, owner: Int)] = []
    for order in 0..<2_000 {
      let owner = Int.random(in: 0..<60, using: &random)
      let time = Int64.random(in: 0..<100, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        queue.schedule(&tickets[owner, default: nil], at: time, for: owner)
        model.removeAll { $0.owner == owner }
        model.append((time, order, owner))
      case 6..<8:
        queue.cancel(&tickets[owner, default: nil])
        model.removeAll { $0.owner == owner }
      default:
        let popped = queue.popDue(now: time)
        let first = model.min { ($0.time, $0.order) < ($1.time, $1.order) }
        #expect(popped == (first.map { $0.time <= time } == true ? first?.owner : nil))
        if let popped {
          tickets[popped] = nil
          model.removeAll { $0.owner == popped }
        }
      }
      #expect(queue.count == model.count)
      #expect(queue.next == model.map(\.time).min())
    }
  }
}
