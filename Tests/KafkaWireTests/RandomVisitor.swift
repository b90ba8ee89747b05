import Bytes
import KafkaWire

/// Fills the fields that a version has with random values; the others stay at their defaults.
struct RandomVisitor: WireVisitor {
  let version: Int16
  var isFlexible = false
  var generator: SeededGenerator

  static func message<M: WireMessage>(
    _ type: M.Type, version: Int16, seed: UInt64
  ) throws(WireError) -> M {
    var visitor = RandomVisitor(version: version, generator: SeededGenerator(seed: seed))
    var message = M()
    try visitor.structure(&message)
    return message
  }

  static var refusesMisfits: Bool { false }

  mutating func tagged<T: WireValue>(
    _ tag: UInt32, _ name: StaticString, _ value: inout T, _ versions: Versions, absent: T
  ) throws(WireError) {
    guard versions.contains(version), chance(2) else { return }
    try value.visit(&self)
  }

  mutating func bool(_ value: inout Bool) { value = chance(2) }

  mutating func integer<T: WireInteger>(_ value: inout T) {
    value =
      switch below(4) {
      case 0: T(truncatingIfNeeded: below(3) - 1)
      case 1: chance(2) ? .min : .max
      default: T(truncatingIfNeeded: generator.next())
      }
  }

  mutating func uuid(_ value: inout UUID16) {
    value = UUID16(high: generator.next(), low: generator.next())
  }

  mutating func errorCode(_ value: inout ErrorCode) {
    value = ErrorCode(rawValue: Int16(truncatingIfNeeded: generator.next()))
  }

  mutating func string(_ value: inout String) {
    // Past 126 bytes a compact length takes two bytes, past 15 a string leaves its own storage.
    let count = below(8) == 0 ? 60 + below(100) : below(20)
    value = String((0..<count).map { _ in Array("aZ0.-_é漢🐦")[below(9)] })
  }

  mutating func string(_ value: inout String?) {
    guard !chance(4) else { return value = nil }
    var text = ""
    string(&text)
    value = text
  }

  mutating func bytes(_ value: inout ArraySlice<UInt8>) {
    value = ArraySlice((0..<below(200)).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
  }

  mutating func bytes(_ value: inout ArraySlice<UInt8>?) {
    guard !chance(4) else { return value = nil }
    var present: ArraySlice<UInt8> = []
    bytes(&present)
    value = present
  }

  mutating func records(_ value: inout RecordBytes?) {
    var present: ArraySlice<UInt8>?
    bytes(&present)
    value = present.map { .bytes($0) }
  }

  mutating func array<E: WireValue>(_ value: inout [E]) throws(WireError) {
    value = []
    for _ in 0..<below(4) {
      var element = E.zero
      try element.visit(&self)
      value.append(element)
    }
  }

  mutating func array<E: WireValue>(_ value: inout [E]?) throws(WireError) {
    guard !chance(4) else { return value = nil }
    var present: [E] = []
    try array(&present)
    value = present
  }

  mutating func structure<S: WireStruct>(_ value: inout S) throws(WireError) {
    try value.walk(&self)
    try value.walkTags(&self)
  }

  mutating func structure<S: WireStruct>(_ value: inout S?) throws(WireError) {
    guard !chance(4) else { return value = nil }
    var present = S()
    try structure(&present)
    value = present
  }

  private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
  private mutating func chance(_ oneIn: Int) -> Bool { below(oneIn) == 0 }
}
