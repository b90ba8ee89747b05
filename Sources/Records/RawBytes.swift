extension ArraySlice<UInt8> {
  /// The slice's memory for as long as `body` runs. As `withUnsafeBytes`, which has no typed
  /// throws.
  @inline(__always)
  func withRawBytes<Result>(
    _ body: (UnsafeRawBufferPointer) throws(RecordError) -> Result
  ) throws(RecordError) -> Result {
    unsafe try withUnsafeBufferPointer { (buffer) throws(RecordError) in
      unsafe try body(UnsafeRawBufferPointer(buffer))
    }
  }
}
