/// Stops the program if what must be true is not. As `precondition`, but release builds print the
/// message and the place to standard error too: where a log is in doubt, the numbers in the message
/// are what there is to go by.
///
/// Public for the same reason as `ByteReader`: the compiler inlines nothing else elsewhere.
@inlinable
@inline(__always)
public func require(
  _ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String,
  file: StaticString = #fileID, line: UInt = #line
) {
  if !condition() { fatalError(message(), file: file, line: line) }
}
