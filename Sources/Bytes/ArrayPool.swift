/// Large arrays that are filled again when nobody else has them any more.
///
/// Memory that goes back to the system and comes again costs a page fault for every 4 KiB, which is
/// more than filling it. Whoever fills an array and hands it out `lend`s it too; `take` finds one
/// that is back, by its reference count.
///
/// At most `bytesMax` are remembered, oldest forgotten first: those are freed as usual.
package final class ArrayPool {
  private let bytesMax: Int
  private var lent: [[UInt8]] = []
  private var bytes = 0

  package init(bytesMax: Int) { self.bytesMax = bytesMax }

  /// An empty array with room for `count`, and for not more than twice that; nil if none is back.
  /// Who keeps a part of what is put there keeps it all.
  package func take(room count: Int) -> [UInt8]? {
    var best: (index: Int, capacity: Int)?
    for index in lent.indices {
      let capacity = lent[index].capacity
      guard capacity >= count, capacity <= 2 * count, capacity < best?.capacity ?? .max,
        Self.isUnshared(&lent[index])
      else { continue }
      best = (index, capacity)
    }
    guard let (index, capacity) = best else { return nil }
    bytes -= capacity
    var array = lent.remove(at: index)
    array.removeAll(keepingCapacity: true)
    return array
  }

  /// Remembers an array that is handed out.
  package func lend(_ array: [UInt8]) {
    guard array.capacity <= bytesMax else { return }
    lent.append(array)
    bytes += array.capacity
    while bytes > bytesMax { bytes -= lent.removeFirst().capacity }
  }

  /// Whether nobody else has the array. It is one reference to its storage, and nothing else; the
  /// library has no other way to ask.
  private static func isUnshared(_ array: inout [UInt8]) -> Bool {
    assert(MemoryLayout<[UInt8]>.size == MemoryLayout<AnyObject>.size)
    return unsafe withUnsafeMutablePointer(to: &array) { pointer in
      unsafe pointer.withMemoryRebound(to: AnyObject.self, capacity: 1) {
        unsafe isKnownUniquelyReferenced(&$0.pointee)
      }
    }
  }
}
