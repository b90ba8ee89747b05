/// One column of a row as Postgres sent it. Slices share the message's storage.
package enum TupleColumn: Hashable, Sendable {
  case null
  /// A value kept out of line (TOAST) that the update did not touch: it was not sent.
  case unchanged
  /// The type's output function, in the encoding of the session.
  case text(ArraySlice<UInt8>)
  /// The type's send function: only with the option `binary`.
  case binary(ArraySlice<UInt8>)
}

/// What an update or delete says about the row before it. Both hold all columns in order.
package enum OldTuple: Hashable, Sendable {
  /// Only the columns of the replica identity; the others are null, and not known to be null.
  case key([TupleColumn])
  /// The whole row: `REPLICA IDENTITY FULL`.
  case full([TupleColumn])

  package var columns: [TupleColumn] {
    switch self {
    case .key(let columns), .full(let columns): columns
    }
  }
}

/// What identifies a row of a table for updates and deletes (`pg_class.relreplident`).
package enum ReplicaIdentity: UInt8, Hashable, Sendable {
  case primaryKey = 0x64  // d
  case nothing = 0x6e  // n
  case full = 0x66  // f
  case index = 0x69  // i
}

/// The shape of the rows that follow: sent before the first of them in a session and after a
/// change.
///
/// It has no nullability, defaults or generated columns; those are in the catalogue only.
package struct RelationMessage: Hashable, Sendable {
  package struct Column: Hashable, Sendable {
    package var isKey: Bool
    package var name: String
    package var typeOID: UInt32
    /// -1: none.
    package var typeModifier: Int32

    package init(isKey: Bool, name: String, typeOID: UInt32, typeModifier: Int32) {
      self.isKey = isKey
      self.name = name
      self.typeOID = typeOID
      self.typeModifier = typeModifier
    }
  }

  /// The transaction it belongs to, in a streamed segment.
  package var xid: UInt32?
  package var oid: UInt32
  package var namespace: String
  package var name: String
  package var replicaIdentity: ReplicaIdentity
  package var columns: [Column]

  package init(
    xid: UInt32?, oid: UInt32, namespace: String, name: String,
    replicaIdentity: ReplicaIdentity, columns: [Column]
  ) {
    self.xid = xid
    self.oid = oid
    self.namespace = namespace
    self.name = name
    self.replicaIdentity = replicaIdentity
    self.columns = columns
  }
}

/// The name of a type that is not built in, sent before the relation that has it.
package struct TypeMessage: Hashable, Sendable {
  package var xid: UInt32?
  package var oid: UInt32
  package var namespace: String
  package var name: String

  package init(xid: UInt32?, oid: UInt32, namespace: String, name: String) {
    self.xid = xid
    self.oid = oid
    self.namespace = namespace
    self.name = name
  }
}

/// A prepared transaction, as its five messages describe it.
package struct PreparedTransaction: Hashable, Sendable {
  /// Of the prepare, or of the commit for `commitPrepared`.
  package var lsn: LSN
  package var endLSN: LSN
  /// Microseconds since 2000-01-01 UTC.
  package var time: Int64
  package var xid: UInt32
  package var globalID: String
}

/// A message of Postgres's `pgoutput` plugin, protocol versions 1 to 4.
///
/// Source: the Postgres manual, "Logical Replication Message Formats". Times are microseconds since
/// 2000-01-01 UTC. `xid` is there inside a streamed segment only (between `streamStart` and
/// `streamStop`), where it names the subtransaction that may still be aborted.
package enum ReplicationMessage: Hashable, Sendable {
  case begin(finalLSN: LSN, commitTime: Int64, xid: UInt32)
  case commit(flags: UInt8, commitLSN: LSN, endLSN: LSN, commitTime: Int64)
  case origin(commitLSN: LSN, name: String)
  case relation(RelationMessage)
  case type(TypeMessage)
  case insert(xid: UInt32?, relation: UInt32, new: [TupleColumn])
  case update(xid: UInt32?, relation: UInt32, old: OldTuple?, new: [TupleColumn])
  case delete(xid: UInt32?, relation: UInt32, old: OldTuple)
  /// `options`: 1 CASCADE, 2 RESTART IDENTITY.
  case truncate(xid: UInt32?, relations: [UInt32], options: UInt8)
  /// `pg_logical_emit_message`. Outside a transaction it comes between transactions, at once.
  case message(
    xid: UInt32?, isTransactional: Bool, lsn: LSN, prefix: String, content: ArraySlice<UInt8>)

  case streamStart(xid: UInt32, isFirstSegment: Bool)
  case streamStop
  case streamCommit(xid: UInt32, flags: UInt8, commitLSN: LSN, endLSN: LSN, commitTime: Int64)
  /// The transaction `xid` loses its part `subxid`, or everything when they are equal.
  case streamAbort(xid: UInt32, subxid: UInt32)

  case beginPrepare(PreparedTransaction)
  case prepare(PreparedTransaction)
  case commitPrepared(PreparedTransaction)
  /// `endLSN` of the transaction is the rollback's, `time` is the prepare's.
  case rollbackPrepared(PreparedTransaction, rollbackTime: Int64)
  case streamPrepare(PreparedTransaction)
}
