import Capture
import Testing

@Suite struct `Names by pattern` {
  @Test func `topics are routed as Kafka's RegexRouter routes them`() throws {
    let bare = try TopicRouter(regex: #"([^.]+)\.([^.]+)\.([^.]+)"#, replacement: "$3")
    #expect(bare.topic("ecommerce-db.public.orders") == "orders")
    // Not as a whole: its own name.
    #expect(bare.topic("pg.transaction") == "pg.transaction")
    #expect(bare.topic("a.b.c.d") == "a.b.c.d")
    let named = try TopicRouter(regex: #"(?<db>.*)\.(.*)"#, replacement: #"${db}-$2\$$0"#)
    #expect(named.topic("a.b.c") == "a.b-c$a.b.c")
    // As many digits as name a group: $1 and a zero.
    #expect(try TopicRouter(regex: "(a+)", replacement: "$10").topic("aa") == "aa0")
    // A group that took no part is empty; one that is not there is no replacement.
    #expect(try TopicRouter(regex: "(x)?(y)", replacement: "<$1$2>").topic("y") == "<y>")
    #expect(try TopicRouter(regex: "(y)", replacement: "$2").topic("y") == "y")
  }

  @Test(arguments: ["(", "[a", "*", "a{2,1}", "(?<n>a)(?<n>b)"])
  func `a pattern that is none is refused, with the place`(text: String) {
    let error = #expect(throws: PatternError.self) { try Pattern(text) }
    #expect(error?.description.contains("at character") == true)
  }

  @Test func `include lists match whole names of either case`() throws {
    let text = #"public.users, Public\.Order.*,sales\.(a{1\,2}|b)"#
    let filter = try TableFilter(includeTables: PropertyReader.split(text))
    for name in ["users", "USERS", "ORDERS", "order_items"] {
      #expect(filter.wants(schema: "public", table: name), "\(name)")
    }
    for name in ["aa", "B"] { #expect(filter.wants(schema: "Sales", table: name), "\(name)") }
    for name in ["users2", "users.x", ""] {
      #expect(!filter.wants(schema: "public", table: name), "\(name)")
    }
    for name in ["aaa", "order"] { #expect(!filter.wants(schema: "sales", table: name), "\(name)") }
    #expect(!filter.wants(schema: "xpublic", table: "users"))
    #expect(PropertyReader.split(" , ").isEmpty)
    #expect(throws: CaptureConfigError.self) {
      try TableFilter(includeTables: PropertyReader.split("a,("))
    }
  }

  @Test func `what would take for ever does not match`() throws {
    let slow = try Pattern("(a+)+b")
    #expect(!slow.matches(String(repeating: "a", count: 5000)))
  }

  @Test func `connectors' transforms are read as their files have them`() throws {
    let storeA = try EventTransforms(properties: [
      "transforms": "route,unwrap",
      "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
      "transforms.route.regex": #"([^.]+)\.([^.]+)\.([^.]+)"#,
      "transforms.route.replacement": "$3",
      "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
      "transforms.unwrap.drop.tombstones": "false",
    ])
    #expect(storeA.topic("ecommerce-db.public.orders") == "orders")
    #expect(storeA.unwrap?.deleteMode == .tombstone)
    let storeB = try EventTransforms(properties: [
      "transforms": "unwrap",
      "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
      "transforms.unwrap.add.fields": "op, source.ts_ms",
      "transforms.unwrap.delete.handling.mode": "rewrite",
    ])
    #expect(storeB.unwrap?.deleteMode == .rewrite)
    #expect(storeB.unwrap?.addFields == ["op", "source.ts_ms"])
    let none = try EventTransforms(properties: [:])
    #expect(none.unwrap == nil)
    #expect(none.topic("a.b.c") == "a.b.c")
    let wrong: [[String: String]] = [
      ["transforms": "x"],
      ["transforms": "x", "transforms.x.type": "org.example.Other"],
      [
        "transforms": "x", "transforms.x.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.x.delete.tombstone.handling.mode": "maybe",
      ],
      [
        "transforms": "x", "transforms.x.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.x.add.fields": "source.nope",
      ],
      ["transforms": "x", "transforms.x.type": "org.apache.kafka.connect.transforms.RegexRouter"],
    ]
    for properties in wrong {
      #expect(throws: PatternError.self) { try EventTransforms(properties: properties) }
    }
  }
}
