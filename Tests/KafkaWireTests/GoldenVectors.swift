import Foundation
import KafkaWire
import Testing

/// One line of Data/golden-vectors.tsv.
struct GoldenVector: CustomTestStringConvertible, Sendable {
  let name: String
  let version: Int16
  let bytes: [UInt8]
  let json: String

  var testDescription: String { "\(name) v\(version)" }

  static let all = lines.compactMap { line -> GoldenVector? in
    guard line[0] != "frame", let version = Int16(line[1]) else { return nil }
    return GoldenVector(name: line[0], version: version, bytes: hex(line[2]), json: line[3])
  }

  /// Whole request frames, without their sizes.
  static let frames = lines.compactMap { line -> (key: Int16, version: Int16, bytes: [UInt8])? in
    guard line[0] == "frame", let key = Int16(line[1]), let version = Int16(line[2]) else {
      return nil
    }
    return (key, version, hex(line[3]))
  }

  private static let lines: [[String]] = {
    guard let url = Bundle.module.url(forResource: "Data/golden-vectors", withExtension: "tsv"),
      let text = try? String(contentsOf: url, encoding: .utf8)
    else { return [] }
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
      $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
  }()
}

func hex(_ text: some StringProtocol) -> [UInt8] {
  let digits = text.utf8.filter { $0 != UInt8(ascii: " ") }.compactMap { digit in
    Character(UnicodeScalar(digit)).hexDigitValue.map { UInt8($0) }
  }
  return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

@Suite struct `Golden vectors` {
  @Test func `cover every API, both ways, in its first and last version`() {
    for type in allMessages where type is any APIMessage.Type {
      let versions = GoldenVector.all.filter { $0.name == String(describing: type) }.map(\.version)
      #expect(versions.contains(type.versions.lowerBound), "\(type)")
      #expect(versions.contains(type.versions.upperBound), "\(type)")
    }
  }

  @Test(arguments: GoldenVector.all)
  func `of Kafka's own client decode to the fields it encoded`(vector: GoldenVector) throws {
    func check<M: WireMessage>(_ type: M.Type) throws {
      let message = try M.decode(vector.bytes[...], version: vector.version)
      let fields = try JSON(message, version: vector.version)
      #expect(fields == (try JSON(parsing: vector.json)))
    }
    let type = try #require(message(named: vector.name))
    try check(type)
  }

  @Test(arguments: GoldenVector.all)
  func `come out of decoding and encoding byte for byte`(vector: GoldenVector) throws {
    func check<M: WireMessage>(_ type: M.Type) throws {
      let message = try M.decode(vector.bytes[...], version: vector.version)
      #expect(try message.encoded(version: vector.version) == vector.bytes)
    }
    let type = try #require(message(named: vector.name))
    try check(type)
  }
}
