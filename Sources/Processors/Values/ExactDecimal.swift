/// A decimal number as its digits say, never rounded: `units` / 10^`scale`.
///
/// (1) `units` of what is parsed is below 10^30 and its scale at most 12, so that 10^8 numbers of
///     one scale can be added before 128 bits overflow; a sum that does is an error, not a trap.
/// (2) Two numbers are equal when their values are: 1.5 == 1.50. The scale is kept for people.
package struct ExactDecimal: Hashable, Sendable {
  package static let scaleMax = 12
  static let unitsMax: Int128 = 1_000_000_000_000_000 * 1_000_000_000_000_000

  package private(set) var units: Int128
  package private(set) var scale: Int

  package static let zero = ExactDecimal(0, scale: 0)

  package init(_ units: Int128, scale: Int) {
    precondition((0...Self.scaleMax).contains(scale), "a scale is between 0 and its bound")
    self.units = units
    self.scale = scale
  }

  /// Digits with a sign, a point and an exponent, as JSON and Postgres write them. Nil for anything
  /// else, for more than 12 places and for numbers that are too large to add up (1).
  package init?(_ text: some Collection<UInt8>) {
    var rest = text[...]
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
    var units: Int128 = 0
    var scale = 0
    var digits = 0
    var isFraction = false
    while let byte = rest.first {
      if byte == UInt8(ascii: "."), !isFraction {
        isFraction = true
      } else if (0x30...0x39).contains(byte) {
        guard units < Self.unitsMax else { return nil }
        units = units * 10 + Int128(byte - 0x30)
        digits += 1
        if isFraction { scale += 1 }
      } else {
        break
      }
      rest = rest.dropFirst()
    }
    guard digits > 0 else { return nil }
    if let mark = rest.first {
      guard mark == UInt8(ascii: "e") || mark == UInt8(ascii: "E"),
        let exponent = Self.exponent(rest.dropFirst())
      else { return nil }
      scale -= exponent
    }
    self.init(exactly: isNegative ? -units : units, scale: scale)
  }

  /// Nil if the value has more than 12 places or is too large (1).
  package init?(exactly units: Int128, scale: Int) {
    var units = units
    var scale = scale
    while scale > Self.scaleMax, units % 10 == 0, scale > 0 {
      if units == 0 { scale = 0 } else { (units, scale) = (units / 10, scale - 1) }
    }
    while scale < 0 {
      guard units.magnitude < Self.unitsMax.magnitude else { return nil }
      if units == 0 { scale = 0 } else { (units, scale) = (units * 10, scale + 1) }
    }
    guard scale <= Self.scaleMax, units.magnitude < Self.unitsMax.magnitude else { return nil }
    self.init(units, scale: scale)
  }

  /// Two's complement, most significant byte first, as Connect's Decimal has it.
  package init?(bigEndian bytes: some Collection<UInt8>, scale: Int) {
    guard let first = bytes.first, bytes.count <= 16 else { return nil }
    var units: Int128 = first >= 0x80 ? -1 : 0
    for byte in bytes { units = (units << 8) | Int128(byte) }
    self.init(exactly: units, scale: scale)
  }

  private static func exponent(_ text: some Collection<UInt8>) -> Int? {
    var text = text[...]
    let isNegative = text.first == UInt8(ascii: "-")
    if isNegative || text.first == UInt8(ascii: "+") { text = text.dropFirst() }
    guard (1...3).contains(text.count), text.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    let value = text.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    return isNegative ? -value : value
  }

  // MARK: Arithmetic

  package static func + (a: Self, b: Self) throws(ArithmeticOverflow) -> Self {
    let scale = max(a.scale, b.scale)
    let (sum, overflow) = try a.units(scale).addingReportingOverflow(b.units(scale))
    guard !overflow else { throw ArithmeticOverflow() }
    return ExactDecimal(sum, scale: scale)
  }

  package static prefix func - (a: Self) -> Self {
    ExactDecimal(0 &- a.units, scale: a.scale)
  }

  private func units(_ scale: Int) throws(ArithmeticOverflow) -> Int128 {
    var units = units
    for _ in self.scale..<scale {
      let (product, overflow) = units.multipliedReportingOverflow(by: 10)
      guard !overflow else { throw ArithmeticOverflow() }
      units = product
    }
    return units
  }

  package static func == (a: Self, b: Self) -> Bool {
    let (a, b) = (a.reduced, b.reduced)
    return a.units == b.units && a.scale == b.scale
  }

  package func hash(into hasher: inout Hasher) {
    let reduced = reduced
    hasher.combine(reduced.units)
    hasher.combine(reduced.scale)
  }

  package var isZero: Bool { units == 0 }

  /// The same value with the fewest places.
  private var reduced: (units: Int128, scale: Int) {
    guard units != 0 else { return (0, 0) }
    var (units, scale) = (units, scale)
    while scale > 0, units % 10 == 0 { (units, scale) = (units / 10, scale - 1) }
    return (units, scale)
  }

  /// The value in hundredths; nil if it is not a whole number of them or too large.
  package var cents: Int64? {
    let (units, scale) = reduced
    guard scale <= 2 else { return nil }
    let factor: Int128 = [100, 10, 1][scale]
    let (cents, overflow) = units.multipliedReportingOverflow(by: factor)
    return overflow ? nil : Int64(exactly: cents)
  }

  // MARK: Text

  /// Plain digits, with at least so many places.
  package func text(placesMin: Int = 0) -> String {
    var digits = String(units.magnitude)
    var places = scale
    while places < placesMin {
      digits.append("0")
      places += 1
    }
    if digits.utf8.count <= places {
      digits = String(repeating: "0", count: places + 1 - digits.utf8.count) + digits
    }
    let sign = units < 0 ? "-" : ""
    guard places > 0 else { return sign + digits }
    return "\(sign)\(digits.dropLast(places)).\(digits.suffix(places))"
  }
}

extension ExactDecimal: CustomStringConvertible {
  package var description: String { text() }
}

/// A sum grew beyond what 128 bits hold.
package struct ArithmeticOverflow: Error, Hashable, Sendable {}
