/// Times of many equal actions, in microseconds.
struct Percentiles {
  private var sorted: [Double]

  init(nanoseconds: [UInt64]) { sorted = nanoseconds.map { Double($0) / 1000 }.sorted() }

  var count: Int { sorted.count }
  var max: Double { sorted.last ?? 0 }

  /// The time that this part of the actions did not exceed.
  func at(_ part: Double) -> Double {
    sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
  }
}

/// A number with one digit after the point, in a column of this width.
func column(_ value: Double, _ width: Int = 9) -> String {
  let tenths = Int((value * 10).rounded())
  return column("\(tenths / 10).\(tenths % 10)", width)
}

func column(_ text: String, _ width: Int = 9) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}
