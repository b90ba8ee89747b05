internal import JSON

/// Numbers: whole ones as their digits, exact ones as Connect's Decimal, floating ones as they are.
extension JSONText {
  mutating func integerText(_ text: ArraySlice<UInt8>) throws(ValueError) {
    let digits = text.first == UInt8(ascii: "-") ? text.dropFirst() : text
    // JSON allows no zero in front, and Postgres writes none.
    guard let first = digits.first, digits.count <= 20, first != 0x30 || digits.count == 1,
      digits.allSatisfy({ $0 &- 0x30 < 10 })
    else { throw .malformed }
    raw(text)
  }

  /// Not a number and infinities are strings, as JsonConverter writes them. A whole number gets
  /// `.0`, so that a reader who guesses types sees the same one in every row.
  mutating func floatText(_ text: ArraySlice<UInt8>) throws(ValueError) {
    var cursor = TextCursor(text)
    _ = cursor.skip(UInt8(ascii: "-"))
    guard let first = cursor.next, first &- 0x30 < 10 else {
      guard text.elementsEqual("NaN".utf8) || cursor.isRest("Infinity") else { throw .malformed }
      string(text)
      return
    }
    _ = try cursor.digits(400)
    let isWhole = cursor.isAtEnd
    if cursor.skip(UInt8(ascii: ".")) { try cursor.skipDigits() }
    if cursor.skip(UInt8(ascii: "e")) || cursor.skip(UInt8(ascii: "E")) {
      if !cursor.skip(UInt8(ascii: "+")) { _ = cursor.skip(UInt8(ascii: "-")) }
      try cursor.skipDigits()
    }
    guard cursor.isAtEnd else { throw .malformed }
    raw(text)
    if isWhole { raw(".0") }
  }

  /// `org.apache.kafka.connect.data.Decimal`: the unscaled value, two's complement, big endian,
  /// base64. It has no place for NaN and infinities, which become null and are counted.
  mutating func decimal(_ text: ArraySlice<UInt8>, scale: Int) throws(ValueError) {
    guard let number = try DecimalText(text) else { return unsaid() }
    try unscaled(number, scale: scale)
  }

  mutating func variableDecimal(_ text: ArraySlice<UInt8>) throws(ValueError) {
    guard let number = try DecimalText(text) else { return unsaid() }
    raw("{\"scale\":")
    integer(number.fraction.count)
    raw(",\"value\":")
    try unscaled(number, scale: number.fraction.count)
    byte(UInt8(ascii: "}"))
  }

  private mutating func unsaid() {
    unsayable += 1
    null()
  }

  private mutating func unscaled(_ number: DecimalText, scale: Int) throws(ValueError) {
    // Digits that the scale wants beyond those that are there (negative: takes away, which must be
    // zeros: a scale below zero rounds to tens).
    let missing = scale - number.fraction.count
    let digits = number.whole.count + scale
    guard digits <= 18, missing >= 0 else { return try largeUnscaled(number, missing) }
    var value: Int64 = 0
    for digit in number.whole { value = value * 10 + Int64(digit - 0x30) }
    for digit in number.fraction { value = value * 10 + Int64(digit - 0x30) }
    for _ in 0..<missing { value *= 10 }
    integerBytes(number.isNegative ? -value : value)
  }

  private mutating func integerBytes(_ value: Int64) {
    let magnitudeBits = 64 - (value < 0 ? ~value : value).leadingZeroBitCount
    // One more for the sign.
    let size = (magnitudeBits + 8) / 8
    base64(size) { UInt8(truncatingIfNeeded: value >> Int64(8 * (size - 1 - $0))) }
  }

  private mutating func largeUnscaled(
    _ number: DecimalText, _ missing: Int
  ) throws(ValueError) {
    var digits = Array(number.whole) + Array(number.fraction)
    if missing >= 0 {
      digits.append(contentsOf: repeatElement(0x30, count: missing))
    } else {
      guard digits.suffix(-missing).allSatisfy({ $0 == 0x30 }) else { throw .malformed }
      digits.removeLast(min(-missing, digits.count))
    }
    let bytes = Self.twosComplement(digits, isNegative: number.isNegative)
    base64(bytes[...])
  }

  /// The shortest two's complement of a decimal number, big endian.
  ///
  /// Quadratic in the digits; Postgres allows 147,455 of them, which take some 0.2 s.
  static func twosComplement(_ digits: [UInt8], isNegative: Bool) -> [UInt8] {
    // Little endian.
    var limbs: [UInt32] = []
    var index = 0
    while index < digits.count {
      // Nine digits at a time; the first group is what is left over.
      let size = index == 0 ? (digits.count - 1) % 9 + 1 : 9
      var group: UInt64 = 0
      var factor: UInt64 = 1
      for digit in digits[index..<index + size] {
        group = group * 10 + UInt64(digit - 0x30)
        factor *= 10
      }
      var carry = group
      for limb in limbs.indices {
        let product = UInt64(limbs[limb]) * factor + carry
        limbs[limb] = UInt32(truncatingIfNeeded: product)
        carry = product >> 32
      }
      if carry > 0 { limbs.append(UInt32(truncatingIfNeeded: carry)) }
      index += size
    }
    var bytes: [UInt8] = [0]
    for limb in limbs.reversed() {
      for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: limb >> UInt32(shift))) }
    }
    if isNegative {
      var carry: UInt16 = 1
      for index in bytes.indices.reversed() {
        let sum = UInt16(~bytes[index]) + carry
        bytes[index] = UInt8(truncatingIfNeeded: sum)
        carry = sum >> 8
      }
    }
    // Bytes in front that only repeat the sign.
    var first = 0
    while first + 1 < bytes.count {
      let isFiller =
        bytes[first] == 0 && bytes[first + 1] < 0x80
        || bytes[first] == 0xff && bytes[first + 1] >= 0x80
      guard isFiller else { break }
      first += 1
    }
    return Array(bytes[first...])
  }

  /// `-$1,234.56` in whatever way `lc_monetary` writes it: digits, and a point or comma before
  /// exactly as many as a fraction has.
  mutating func money(
    _ text: ArraySlice<UInt8>, fractionDigits: Int, _ mode: EnvelopeOptions.DecimalMode
  ) throws(ValueError) {
    var digits: [UInt8] = []
    var afterSeparator: Int?
    var isNegative = false
    for byte in text {
      switch byte {
      case 0x30...0x39: digits.append(byte)
      case UInt8(ascii: "."), UInt8(ascii: ","): afterSeparator = digits.count
      case UInt8(ascii: "-"), UInt8(ascii: "("): isNegative = true
      default: break
      }
    }
    guard !digits.isEmpty else { throw .malformed }
    let isFraction = fractionDigits > 0 && afterSeparator == digits.count - fractionDigits
    if !isFraction { digits.append(contentsOf: repeatElement(0x30, count: fractionDigits)) }
    let split = digits.count - fractionDigits
    var plain: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
    plain.append(contentsOf: split > 0 ? digits[..<split] : [0x30])
    if fractionDigits > 0 {
      plain.append(UInt8(ascii: "."))
      plain.append(contentsOf: digits[split...])
    }
    switch mode {
    case .precise: try decimal(plain[...], scale: fractionDigits)
    case .string: string(plain[...])
    case .double: try floatText(plain[...])
    }
  }
}

extension TextCursor {
  mutating func skipDigits() throws(ValueError) {
    let start = index
    while let byte = next, byte &- 0x30 < 10 { index += 1 }
    guard index > start else { throw .malformed }
  }
}

/// A decimal number in plain notation, taken apart.
private struct DecimalText {
  var isNegative = false
  /// Without zeros in front.
  var whole: ArraySlice<UInt8>
  var fraction: ArraySlice<UInt8>

  /// Nil: NaN or an infinity.
  init?(_ text: ArraySlice<UInt8>) throws(ValueError) {
    var rest = text
    if rest.first == UInt8(ascii: "-") {
      isNegative = true
      rest = rest.dropFirst()
    }
    var index = rest.startIndex
    while index < rest.endIndex, rest[index] &- 0x30 < 10 { index += 1 }
    whole = rest[..<index].drop { $0 == 0x30 }
    fraction = rest[index...]
    if index == rest.startIndex {
      let isSpecial =
        text.elementsEqual("NaN".utf8) || rest.elementsEqual("Infinity".utf8)
      guard isSpecial else { throw .malformed }
      return nil
    }
    guard let point = fraction.first else { return }
    fraction = fraction.dropFirst()
    guard point == UInt8(ascii: "."), !fraction.isEmpty,
      fraction.allSatisfy({ $0 &- 0x30 < 10 })
    else { throw .malformed }
  }
}
