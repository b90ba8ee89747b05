import Capture
import ConnectData
import Testing

@Suite struct `Defaults in schemas` {
  @Test(
    arguments: [
      ("int4", "7", "7"), ("int4", "'-1'::integer", "-1"), ("int4", "(-1)", "-1"),
      ("int8", "'9223372036854775807'::bigint", "9223372036854775807"),
      ("text", "'dflt'::text", "\"dflt\""),
      ("varchar", "'it''s'::character varying(10)", "\"it's\""),
      ("text", "E'a\\\\b'::text", #""a\\b""#), ("bool", "true", "true"), ("bool", "false", "false"),
      ("float8", "(0)::double precision", "0.0"), ("float8", "'NaN'::double precision", "\"NaN\""),
      ("timestamptz", "now()", "\"1970-01-01T00:00:00.000000Z\""),
      ("timestamptz", "CURRENT_TIMESTAMP", "\"1970-01-01T00:00:00.000000Z\""),
      ("timestamp", "CURRENT_TIMESTAMP", "0"), ("date", "'2024-02-29'::date", "19782"),
      ("date", "('now'::text)::date", "0"), ("int4", "nextval('s.t_id_seq'::regclass)", "0"),
      ("uuid", "gen_random_uuid()", "\"00000000-0000-0000-0000-000000000000\""),
      ("text", "('a'::text || 'b'::text)", "\"\""), ("int4", "(1 + 2)", "0"),
      ("jsonb", "'{}'::jsonb", "\"{}\""), ("jsonb", "jsonb_build_object()", "\"{}\""),
      ("bytea", "'\\x01ff'::bytea", "\"Af8=\""), ("interval", "'00:00:01'::interval", "1000000"),
    ] as [(String, String, String)])
  func `constants as they are, computed ones as the type's zero`(
    type: String, expression: String, expected: String
  ) throws {
    let harness = ColumnHarness()
    let column = ColumnSchema(
      name: "c", typeOID: try harness.oid(type), defaultExpression: expression)
    let json = try harness.schema(column).defaultValue.map { String(decoding: $0, as: UTF8.self) }
    #expect(json == expected)
  }

  @Test(
    arguments: [
      ("text", "NULL::text"), ("_int4", "'{}'::integer[]"), ("point", "'(0,0)'::point"),
    ] as [(String, String)])
  func `none where Debezium gives none`(type: String, expression: String) throws {
    let harness = ColumnHarness()
    let column = ColumnSchema(
      name: "c", typeOID: try harness.oid(type), defaultExpression: expression)
    #expect(try harness.schema(column).defaultValue == nil)
  }
}
