import Capture
import Testing

@Suite struct `What a publication covers` {
  private func table(
    _ name: String, partitioned: Bool = false, of ancestors: [String] = []
  ) -> Catalogue.Table {
    Catalogue.Table(
      schema: "s", name: name, identity: .primaryKey, hasPrimaryKey: true,
      isPartitioned: partitioned, ancestors: ancestors.map { "s.\($0)" }, isLogged: true,
      maySelect: true, isOwned: true)
  }

  private var tables: [Catalogue.Table] {
    [
      table("t"), table("p", partitioned: true), table("p1", of: ["p"]),
      table("p2", partitioned: true, of: ["p"]), table("p21", of: ["p2", "p"]),
      table("empty", partitioned: true),
    ]
  }

  private func answer(
    _ name: String, wanted: [String], published: [String], viaRoot: Bool = false
  ) throws -> Coverage.Answer {
    let coverage = Coverage(
      tables, wanted: Set(wanted.map { "s.\($0)" }), published: Set(published.map { "s.\($0)" }),
      isViaRoot: viaRoot)
    return coverage.answer(for: try #require(tables.first { $0.name == name }))
  }

  @Test func `a table is there or not`() throws {
    #expect(try answer("t", wanted: ["t"], published: ["t"]) == .whole)
    #expect(try answer("t", wanted: ["t"], published: ["p1"]) == .absent)
  }

  @Test func `a partitioned table's changes have its partitions' names`() throws {
    let leaves = ["p1", "p21"]
    #expect(try answer("p", wanted: ["p", "p1", "p21"], published: leaves) == .whole)
    #expect(
      try answer("p", wanted: ["p"], published: leaves) == .unwanted(["s.p1", "s.p21"], all: true))
    #expect(
      try answer("p", wanted: ["p", "p1"], published: leaves) == .unwanted(["s.p21"], all: false))
    #expect(try answer("p", wanted: ["p"], published: []) == .absent)
    #expect(try answer("empty", wanted: ["empty"], published: []) == .whole)
  }

  @Test func `or its own, and then its partitions have none`() throws {
    #expect(try answer("p", wanted: ["p"], published: ["p"], viaRoot: true) == .whole)
    #expect(try answer("p21", wanted: ["p", "p21"], published: ["p"], viaRoot: true) == .whole)
    #expect(
      try answer("p1", wanted: ["p1"], published: ["p"], viaRoot: true)
        == .unwanted(["s.p"], all: true))
    #expect(try answer("empty", wanted: ["empty"], published: ["p"], viaRoot: true) == .absent)
  }

  @Test func `what is added is called as the publication has it`() {
    var byPartition = Coverage(tables, wanted: [], published: ["s.t"], isViaRoot: false)
    byPartition.add(tables.filter { $0.name == "p" })
    #expect(byPartition.published == ["s.t", "s.p1", "s.p21"])
    var byRoot = Coverage(tables, wanted: [], published: ["s.p1"], isViaRoot: true)
    byRoot.add(tables.filter { ["p", "p21", "t"].contains($0.name) })
    #expect(byRoot.published == ["s.t", "s.p"])
  }
}
