import Demo
import Foundation
import Postgres
import Testing

private let hasPostgres = FileManager.default.fileExists(
  atPath: "/usr/lib/postgresql/15/bin/postgres")

@Suite(.enabled(if: hasPostgres, "Postgres 15 is not installed"))
struct `A throw-away Postgres` {
  @Test func `has the store, runs its day, and leaves nothing`() throws {
    let postgres = try ThrowAwayPostgres()
    let directory = postgres.socketDirectory
    do {
      defer { postgres.remove() }
      try PostgresConnection(conninfo: postgres.conninfo(database: "postgres"))
        .run("CREATE DATABASE \(StoreA.database)")
      let conninfo = postgres.conninfo(database: StoreA.database)
      let database = try PostgresConnection(conninfo: conninfo)
      for part in [StoreA.schema, StoreA.data, StoreA.round] { try database.run(part) }
      let count = { (query: String) in
        try #require(try database.query(query).first?.first.flatMap { $0 }.flatMap { Int($0) })
      }
      let sizes = "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_items)"
      let before = try count(sizes)
      let rounds = 50
      var rows = 0
      for _ in 0..<rounds {
        rows += try count("SELECT orders_changed + items_changed FROM one_round()")
      }
      let made = try count(sizes) - before
      #expect(made >= 2 * rounds)
      #expect(rows >= made)
      let revenue = try database.query(StoreA.revenue)
      let cents = revenue.reduce(0) { $0 + (Int(($1[1] ?? "")) ?? 0) }
      #expect(
        try count("SELECT (sum(total_amount) * 100)::bigint FROM orders WHERE status = 'completed'")
          == cents)
      #expect(throws: PostgresError.self) { try database.query("SELECT nothing") }

      let generator = Generator(conninfo: conninfo, roundsPerSecond: 100_000)
      while generator.now.rounds < 20, !generator.now.hasEnded { sched_yield() }
      let done = generator.stop()
      #expect(done.failure == nil)
      #expect(done.rows >= 2 * done.rounds)
    }
    #expect(!FileManager.default.fileExists(atPath: directory))
  }
}
