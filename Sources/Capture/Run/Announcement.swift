/// A table that the stream has announced: what the catalogue knows of it beyond the message is
/// asked for, and its topic is made ready.
///
/// Both may take long: the catalogue waits for whoever alters the table, and the broker may be
/// away. Postgres gives a stream up that says nothing meanwhile, so it is done on a thread of its
/// own, while the stream is not read and status messages go on.
struct Announcement: Sendable {
  let relation: RelationMessage
  /// `schema.table`.
  let name: String
  let topic: String
  let readsTypes: Bool

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
      announcement: self, schema: try catalogue.schema(oid: relation.oid),
      types: readsTypes ? try catalogue.types() : nil, topic: try target.open(topic))
  }
}
