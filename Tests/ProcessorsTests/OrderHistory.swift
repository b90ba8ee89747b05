import Processors

/// Numbers that a seed repeats (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// Orders that come, change and go, as their events and as what they are in the end.
struct OrderHistory {
  private struct Order {
    var cents: Int64
    var status: String
    var seconds: Int64
  }

  static let partitions: Int32 = 3
  private(set) var records: [InputRecord] = []
  /// How many of them are no events.
  private(set) var poisonCount = 0
  private var orders: [Int: Order] = [:]

  /// `poison`: one of so many records is no event; `truncation`: so often the table is truncated;
  /// 0: never.
  init(
    _ random: inout some RandomNumberGenerator, count: Int, poison: Int = 0, truncation: Int = 0
  ) {
    var scripts = (0..<Self.partitions).map { partition in
      var script = EventScript()
      script.partition = partition
      return script
    }
    for step in 0..<count {
      for partition in scripts.indices { scripts[partition].lsn = UInt64(step + 1) }
      if truncation > 0, step % truncation == truncation - 1 {
        orders = [:]
        scripts[0].now = EventScript.base + Int64(step) * 2_000_000
        records.append(scripts[0].truncated())
      }
      let id = Int.random(in: 0..<count / 4, using: &random)
      let partition = id % Int(Self.partitions)
      scripts[partition].now = EventScript.base + Int64(step) * 2_000_000
      if poison > 0, step % poison == 0 {
        poisonCount += 1
        records.append(scripts[partition].record("{", key: "{\"order_id\":\(id)}"))
      }
      var order =
        orders[id]
        ?? Order(
          cents: 0, status: "",
          seconds: max(0, Int64(step) * 2 - Int64.random(in: 0..<700, using: &random)))
      let isNew = orders[id] == nil
      if !isNew, Int.random(in: 0..<8, using: &random) == 0 {
        orders[id] = nil
        records.append(scripts[partition].deletedOrder(id))
        records.append(scripts[partition].record(nil, key: "{\"order_id\":\(id)}"))
        continue
      }
      order.cents = Int64.random(in: 0..<100_000, using: &random)
      order.status =
        ["pending", "completed", "completed", "cancelled"].randomElement(using: &random) ?? ""
      orders[id] = order
      let kind = isNew ? "c" : Int.random(in: 0..<10, using: &random) == 0 ? "r" : "u"
      records.append(
        scripts[partition].order(
          kind, id, "\(order.cents / 100).\(order.cents / 10 % 10)\(order.cents % 10)",
          order.status,
          seconds: order.seconds))
    }
  }

  /// Cents and orders of each window (its start in microseconds), from what the orders are now.
  func truth() -> [Int64: [Int64]] {
    var totals: [Int64: [Int64]] = [:]
    for order in orders.values where order.status == "completed" {
      let start = EventScript.base + order.seconds / 300 * 300_000_000
      totals[start, default: [0, 0]][0] += order.cents
      totals[start, default: [0, 0]][1] += 1
    }
    return totals
  }

  /// The same of the table and the late table together.
  static func total(_ store: MemoryStore) throws -> [Int64: [Int64]] {
    try total(store.tables.map { Array($0.values) })
  }

  static func total(_ tables: [[[ColumnValue]]]) throws -> [Int64: [Int64]] {
    var totals: [Int64: [Int64]] = [:]
    func add(_ start: ColumnValue, _ amount: ColumnValue, _ count: ColumnValue) throws {
      guard case .time(let start) = start, case .decimal(let amount) = amount,
        case .integer(let count) = count, let cents = amount.cents
      else { throw NotARow() }
      totals[start.microseconds, default: [0, 0]][0] += cents
      totals[start.microseconds, default: [0, 0]][1] += count
    }
    for row in tables[0] { try add(row[0], row[2], row[3]) }
    for row in tables[1] { try add(row[3], row[7], row[8]) }
    return totals.filter { $0.value != [0, 0] }
  }

  struct NotARow: Error {}
}
