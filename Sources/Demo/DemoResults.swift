internal import Processors

/// The demonstration's results, as anybody would read them from SQLite.
struct DemoResults {
  private let database: SQLiteDatabase

  init(path: String) throws(SinkError) { database = try SQLiteDatabase(path: path) }

  private func rows(_ query: String, _ columns: Int32) throws(SinkError) -> [[String]] {
    let statement = try database.prepare(query)
    var rows: [[String]] = []
    while try statement.step() {
      rows.append((0..<columns).map { statement.text($0) ?? "" })
    }
    return rows
  }

  private func hasTable(_ name: String) throws(SinkError) -> Bool {
    try !rows("SELECT 1 FROM sqlite_master WHERE name = '\(name)'", 1).isEmpty
  }

  /// Windows with an order in them; one that lost all of its orders stays, with zero.
  func windows() throws(SinkError) -> [DemoReport.Window] {
    guard try hasTable("revenue_analytics") else { return [] }
    let query = """
      SELECT strftime('%s', window_start), total_revenue_cents, order_count
      FROM revenue_analytics WHERE order_count <> 0 ORDER BY window_start
      """
    return try rows(query, 3).compactMap { row in
      guard let start = Int64(row[0]), let cents = Int64(row[1]), let orders = Int64(row[2]) else {
        return nil
      }
      return DemoReport.Window(start: start, cents: cents, orders: orders)
    }
  }

  /// Products with an alert and its level, by product.
  func levels() throws(SinkError) -> [[String]] {
    guard try hasTable("inventory_alerts") else { return [] }
    return try rows(
      "SELECT product_id, alert_level FROM inventory_alerts WHERE status = 'active' "
        + "ORDER BY product_id", 2)
  }

  func newestAlerts() throws(SinkError) -> [DemoFigures.Alert] {
    guard try hasTable("inventory_alerts") else { return [] }
    let query = """
      SELECT product_id, product_name, current_stock, min_threshold, alert_level
      FROM inventory_alerts WHERE status = 'active' ORDER BY alert_time DESC LIMIT \(
        DemoScreen.alertsShown)
      """
    return try rows(query, 5).map { row in
      DemoFigures.Alert(
        product: row[0], name: row[1], stock: Int64(row[2]) ?? 0, threshold: Int64(row[3]) ?? 0,
        level: row[4])
    }
  }

  func storedRows() throws(SinkError) -> Int {
    var count = 0
    for table in ["revenue_analytics", "inventory_alerts"] where try hasTable(table) {
      count += try rows("SELECT count(*) FROM \(table)", 1).first.flatMap { Int($0[0]) } ?? 0
    }
    return count
  }
}
