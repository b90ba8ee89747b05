extension Array where Element: WireValue {
  /// Gives each element to `body`, which may not change it, without retaining what it holds.
  ///
  /// A walk takes its value inout, for the decoder's sake. To walk over elements that stay as they
  /// are, a copy of each would do, at the price of a retain and a release for each string and array
  /// in it: half the cost of encoding a Fetch response. So the bits of an element are lent out and
  /// then forgotten: the array still owns what they refer to, and stays alive and unchanged
  /// throughout, as it is borrowed. A walk that stores an equal value back, as one over a nullable
  /// field does, retains and releases the same object, which leaves the count where it was.
  /// Elements are structs, strings, arrays and numbers, all of which may be moved bit by bit.
  func lendEach(_ body: (inout Element) throws(WireError) -> Void) throws(WireError) {
    var failure: WireError?
    unsafe withUnsafeBufferPointer { elements in
      unsafe withUnsafeTemporaryAllocation(of: Element.self, capacity: 1) { slot in
        guard let from = elements.baseAddress, let slot = slot.baseAddress else { return }
        for index in elements.indices {
          unsafe UnsafeMutableRawPointer(slot).copyMemory(
            from: from + index, byteCount: MemoryLayout<Element>.size)
          do throws(WireError) {
            try unsafe body(&slot.pointee)
          } catch {
            failure = error
            return
          }
        }
      }
    }
    if let failure { throw failure }
  }
}
