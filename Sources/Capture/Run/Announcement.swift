/// What the stream needs before it can go on: a table that it has announced, of which the catalogue
/// knows more than the message says, and a topic that is ready to be written to.
///
/// Both may take long: the catalogue waits for whoever alters the table, and the broker may be
/// away. Postgres gives a stream up that says nothing meanwhile, so it is done on a thread of its
/// own, while the stream is not read and status messages go on.
struct Announcement: Sendable {
  struct Table: Sendable {
    let relation: RelationMessage
    /// `schema.table`.
    let name: String
    let readsTypes: Bool
  }

  /// Nil if it is only about the topic, for which a record is there already.
  let table: Table?
  let topic: String

  struct Answer {
    let announcement: Announcement
    /// As it is now; nil if it is gone.
    let schema: TableSchema?
    let types: TypeCatalog?
    /// Nil if it was open already.
    let topic: FoundTopic?
  }

  func ask(_ catalogue: Catalogue, _ target: any PositionedLog) throws -> Answer {
    Answer(
      announcement: self, schema: try table.flatMap { try catalogue.schema(oid: $0.relation.oid) },
      types: table?.readsTypes == true ? try catalogue.types() : nil,
      topic: try target.open(topic))
  }
}
