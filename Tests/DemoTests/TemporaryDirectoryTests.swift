import Foundation
import Platform
import Testing

@Suite struct `A temporary directory` {
  @Test func `of a process that is gone is removed by a later one, and no other is`() throws {
    let prefix = "martlet-test-\(UUID().uuidString)"
    let used = try TemporaryDirectory(prefix)
    defer { used.remove() }
    // What a killed process leaves: its lock is a file that nobody has locked.
    let left = "/tmp/\(prefix)-left"
    try FileManager.default.createDirectory(
      atPath: left + "/postgres", withIntermediateDirectories: true)
    try Data().write(to: URL(filePath: left + "/lock"))
    try Data("x".utf8).write(to: URL(filePath: left + "/postgres/data"))
    let other = "/tmp/\(prefix)-other"
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: other) }
    TemporaryDirectory.removeAbandoned(prefix)
    #expect(!FileManager.default.fileExists(atPath: left))
    #expect(FileManager.default.fileExists(atPath: used.path))
    #expect(FileManager.default.fileExists(atPath: other), "it may be anybody's")
  }

  @Test func `is gone when it is removed`() throws {
    let directory = try TemporaryDirectory("martlet-test-\(UUID().uuidString)")
    #expect(FileManager.default.fileExists(atPath: directory.path + "/lock"))
    directory.remove()
    #expect(!FileManager.default.fileExists(atPath: directory.path))
  }
}
