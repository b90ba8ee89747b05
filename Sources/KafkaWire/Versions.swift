/// The versions of a message that have a field, or in which it may be null.
package struct Versions: Equatable, Sendable {
  package let first: Int16
  package let last: Int16
  /// A value that a version lacks the field for may be dropped silently. Without it such a value is
  /// an error, because the receiver would act on the default instead.
  package let isIgnorable: Bool

  private init(_ first: Int16, _ last: Int16, isIgnorable: Bool = false) {
    self.first = first
    self.last = last
    self.isIgnorable = isIgnorable
  }

  package static let all = Versions(0, .max)

  package static func since(_ first: Int16) -> Versions { Versions(first, .max) }
  package static func until(_ last: Int16) -> Versions { Versions(0, last) }
  package static func only(_ version: Int16) -> Versions { Versions(version, version) }
  package static func between(_ first: Int16, _ last: Int16) -> Versions { Versions(first, last) }

  package var ignorable: Versions { Versions(first, last, isIgnorable: true) }

  package func contains(_ version: Int16) -> Bool { first <= version && version <= last }
}
