/// Elements by number, for numbers that mostly follow each other: offsets of a log, values of a
/// producer. A page of them is found by one hash, and the page used last by none.
struct PagedTable<Element> {
  private static var pageCount: Int { 256 }

  private let empty: Element
  private var pages: [[Element]] = []
  private var places: [UInt64: Int] = [:]
  private var lastKey = UInt64.max
  private var lastPlace = -1

  init(empty: Element) { self.empty = empty }

  /// The element, or an empty one.
  subscript(number: UInt64) -> Element {
    let key = number &>> 8
    if key == lastKey, lastPlace >= 0 { return pages[lastPlace][Int(number & 0xff)] }
    guard let place = places[key] else { return empty }
    return pages[place][Int(number & 0xff)]
  }

  /// Changes the element, an empty one if there was none.
  @inline(__always)
  mutating func change<Result>(_ number: UInt64, _ body: (inout Element) -> Result) -> Result {
    let place = place(of: number &>> 8)
    return body(&pages[place][Int(number & 0xff)])
  }

  private mutating func place(of key: UInt64) -> Int {
    if key == lastKey, lastPlace >= 0 { return lastPlace }
    let place: Int
    if let known = places[key] {
      place = known
    } else {
      place = pages.count
      pages.append([Element](repeating: empty, count: Self.pageCount))
      places[key] = place
    }
    lastKey = key
    lastPlace = place
    return place
  }

  /// All elements of all pages, the empty ones too, in the order of their numbers.
  func forEach(_ body: (UInt64, Element) -> Void) {
    for key in places.keys.sorted() {
      guard let place = places[key] else { continue }
      for (index, element) in pages[place].enumerated() { body(key &<< 8 + UInt64(index), element) }
    }
  }
}
