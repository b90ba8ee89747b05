/// Alerts for products whose stock is below their threshold.
///
/// CRITICAL at or below zero, HIGH below half the threshold, MEDIUM otherwise; a product without
/// threshold never alerts. An alert is emitted when it begins and when its stock, threshold, level
/// or the product's name changes; when stock is back it is emitted once more as `resolved`, and its
/// row stays so until it begins again. A deleted product takes its row with it. The topic has all
/// of an alert's history, the table what is so now.
package enum LowStock {
  package struct Options: Hashable, Sendable {
    package var sourceTopic = "products"
    package var resultTopic = "inventory-alerts"
    package var deadLetterTopic = "dlq-topic"
    package var table = "inventory_alerts"
    /// Product ids are numbers in the pipelines that are known; a uuid needs a text.
    package var hasTextIDs = false

    package init() {}
  }

  struct Product: Sendable {
    var id: String
    var name: String
    var stock: Int64
    var threshold: Int64?

    var level: Level? {
      guard let threshold, stock < threshold else { return nil }
      if stock <= 0 { return .critical }
      return Int128(stock) * 2 < Int128(threshold) ? .high : .medium
    }
  }

  enum Level: String, Sendable {
    case critical = "CRITICAL"
    case high = "HIGH"
    case medium = "MEDIUM"
  }

  /// A product's alert, as it is in the table.
  struct Alert: StateText {
    var id: String
    var name: String
    var stock: Int64
    var threshold: Int64
    var level: Level
    var isActive: Bool
    /// When it began, and when it changed last.
    var began: EventTime
    var changed: EventTime

    func isAbout(_ product: Product) -> Bool {
      isActive && name == product.name && stock == product.stock
        && threshold == product.threshold && level == product.level
    }
  }

  package static func task(_ options: Options = Options()) -> ProcessorTask {
    let hasTextIDs = options.hasTextIDs
    return Topology.source(options.sourceTopic, identity: ["product_id"])
      .map { (row) throws(EventError) in try product(row, hasTextIDs) }
      .fold(follow)
      .sink(
        table: table(options), row: { row($0, hasTextIDs) }, topic: options.resultTopic,
        deadLetters: options.deadLetterTopic)
  }

  private static func product(_ row: Row, _ hasTextIDs: Bool) throws(EventError) -> Product {
    let id = try row.required("product_id") { (row, name) throws(EventError) in
      try row.text(name)
    }
    let number = Int64(id)
    guard hasTextIDs || number != nil else {
      throw .invalid("product_id", "is not a whole number")
    }
    return Product(
      // One spelling for each number: it is the row's key.
      id: hasTextIDs ? id : number.map(String.init) ?? id, name: try row.text("name") ?? "",
      stock: try row.required("stock_quantity") { (row, name) throws(EventError) in
        try row.integer(name)
      },
      threshold: try row.integer("min_threshold"))
  }

  @Sendable private static func follow(
    _ previous: Alert?, _ product: Product?, _ time: SourceTime
  ) -> Alert? {
    guard let product else { return nil }
    guard let level = product.level, let threshold = product.threshold else {
      guard var alert = previous, alert.isActive else { return previous }
      alert.isActive = false
      alert.stock = product.stock
      alert.name = product.name
      alert.threshold = product.threshold ?? alert.threshold
      alert.changed = time
      return alert
    }
    if let previous, previous.isAbout(product) { return previous }
    let began = previous.flatMap { $0.isActive ? $0.began : nil } ?? time
    return Alert(
      id: product.id, name: product.name, stock: product.stock, threshold: threshold,
      level: level, isActive: true, began: began, changed: time)
  }

  private static func table(_ options: Options) -> TableDescription {
    TableDescription(
      options.table, key: [.init("product_id", options.hasTextIDs ? .text : .integer)],
      [
        .init("product_name", .text), .init("current_stock", .integer),
        .init("min_threshold", .integer), .init("alert_level", .text), .init("status", .text),
        .init("began_at", .time), .init("alert_time", .time),
      ])
  }

  private static func row(_ alert: Alert, _ hasTextIDs: Bool) -> [ColumnValue] {
    let number = hasTextIDs ? nil : Int64(alert.id)
    return [
      number.map { .integer($0) } ?? .text(alert.id), .text(alert.name), .integer(alert.stock),
      .integer(alert.threshold), .text(alert.level.rawValue),
      .text(alert.isActive ? "active" : "resolved"), .time(alert.began), .time(alert.changed),
    ]
  }
}

extension LowStock.Alert {
  /// Id and name come last, because they may contain anything; the id's size divides them.
  var stateText: String {
    let status = isActive ? "active" : "resolved"
    let times = "\(began.microseconds)\t\(changed.microseconds)"
    let fields = "\(status)\t\(level.rawValue)\t\(stock)\t\(threshold)\t\(times)"
    return "\(fields)\t\(id.utf8.count)\t\(id)\(name)"
  }

  init?(stateText: String) {
    let parts = stateText.split(separator: "\t", maxSplits: 7, omittingEmptySubsequences: false)
    guard parts.count == 8, let level = LowStock.Level(rawValue: String(parts[1])),
      let stock = Int64(parts[2]), let threshold = Int64(parts[3]),
      let began = Int64(parts[4]).flatMap(EventTime.init(microseconds:)),
      let changed = Int64(parts[5]).flatMap(EventTime.init(microseconds:)),
      let idSize = Int(parts[6]), (0...parts[7].utf8.count).contains(idSize),
      let id = String(parts[7].utf8.prefix(idSize)),
      let name = String(parts[7].utf8.dropFirst(idSize))
    else { return nil }
    self.init(
      id: id, name: name, stock: stock, threshold: threshold,
      level: level, isActive: parts[0] == "active", began: began, changed: changed)
  }
}
