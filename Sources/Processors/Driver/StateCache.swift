/// State that was read or written lately, so that hot keys are not read again.
///
/// It holds what is committed and nothing else: it is told of a batch's writes after their commit,
/// so a transaction that was rolled back leaves it right. What is known not to be there is held
/// too. When it is too large the entries that were used longest ago go.
package struct StateCache {
  package static let defaultBytesMax = 64 << 20
  /// What an entry costs beside its texts: slots, table, string headers.
  private static let entryBytes = 160

  private struct Entry {
    var key: String
    var value: String?
    /// Neighbours by time of use; -1 at the ends.
    var newer: Int
    var older: Int
  }

  private let bytesMax: Int
  package private(set) var bytes = 0
  private var indices: [String: Int] = [:]
  private var entries: [Entry] = []
  private var free: [Int] = []
  private var newest = -1
  private var oldest = -1

  package init(bytesMax: Int = Self.defaultBytesMax) { self.bytesMax = bytesMax }

  package var count: Int { indices.count }

  /// The value of a key, nil if it is not known; `.some(nil)`: it is known that there is none.
  package mutating func value(_ key: String) -> String?? {
    guard let index = indices[key] else { return nil }
    unlink(index)
    link(index)
    return .some(entries[index].value)
  }

  package mutating func set(_ key: String, _ value: String?) {
    if let index = indices[key] {
      bytes += size(key, value) - size(key, entries[index].value)
      entries[index].value = value
      unlink(index)
      link(index)
    } else {
      let entry = Entry(key: key, value: value, newer: -1, older: -1)
      let index: Int
      if let last = free.popLast() {
        index = last
        entries[index] = entry
      } else {
        index = entries.count
        entries.append(entry)
      }
      indices[key] = index
      bytes += size(key, value)
      link(index)
    }
    while bytes > bytesMax, oldest >= 0 { remove(oldest) }
  }

  private func size(_ key: String, _ value: String?) -> Int {
    Self.entryBytes + 2 * key.utf8.count + (value?.utf8.count ?? 0)
  }

  private mutating func remove(_ index: Int) {
    let entry = entries[index]
    unlink(index)
    bytes -= size(entry.key, entry.value)
    indices[entry.key] = nil
    entries[index] = Entry(key: "", value: nil, newer: -1, older: -1)
    free.append(index)
  }

  private mutating func link(_ index: Int) {
    entries[index].older = newest
    entries[index].newer = -1
    if newest >= 0 { entries[newest].newer = index } else { oldest = index }
    newest = index
  }

  private mutating func unlink(_ index: Int) {
    let entry = entries[index]
    if entry.newer >= 0 { entries[entry.newer].older = entry.older } else { newest = entry.older }
    if entry.older >= 0 { entries[entry.older].newer = entry.newer } else { oldest = entry.newer }
  }
}
