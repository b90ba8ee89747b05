package import Bytes

/// What is wrong with bytes that should be a replication message.
package enum PgOutputError: Error, Equatable, Sendable {
  /// The message of this type byte is cut short, or a length in it does not fit.
  case malformed(type: UInt8, ByteError)
  /// Not a message of the protocol version in use.
  case unknownMessage(type: UInt8)
  /// A byte inside the message has a value the protocol does not know.
  case unexpectedByte(type: UInt8, byte: UInt8, at: Int)
  /// The message goes on after its last field.
  case trailingBytes(type: UInt8, count: Int)
  /// A segment begins inside another or ends without one.
  case segmentOutOfPlace(type: UInt8)
  /// No bytes at all.
  case empty
}

extension PgOutputError: CustomStringConvertible {
  package var description: String {
    func name(_ type: UInt8) -> String { "'\(Character(UnicodeScalar(type)))'" }
    switch self {
    case .malformed(let type, let error): return "replication message \(name(type)): \(error)"
    case .unknownMessage(let type):
      return "replication message of type \(name(type)) is not part of the protocol version in use"
    case .unexpectedByte(let type, let byte, let at):
      return "replication message \(name(type)) has the unknown byte \(byte) at \(at)"
    case .trailingBytes(let type, let count):
      return "replication message \(name(type)) has \(count) bytes after its end"
    case .segmentOutOfPlace(let type):
      return "replication message \(name(type)) where no streamed segment may begin or end"
    case .empty: return "a replication message is empty"
    }
  }
}

/// Reads what `pgoutput` sends. Never traps on input; counts are bounded by the bytes that remain.
///
/// It knows one thing between messages: whether a streamed segment is open, because then every
/// change carries the id of its transaction behind the type byte.
///
/// ```
/// B C O R Y I U D T M    version 1 (M with the option `messages`)
/// S E c A                version 2, option `streaming`
/// b P K r p              version 3, option `two_phase`
/// ```
package struct PgOutputDecoder: Sendable {
  private let protocolVersion: Int
  private var isInSegment = false

  package init(protocolVersion: Int) {
    precondition((1...4).contains(protocolVersion), "pgoutput has protocol versions 1 to 4")
    self.protocolVersion = protocolVersion
  }

  package mutating func decode(
    _ payload: ArraySlice<UInt8>
  ) throws(PgOutputError) -> ReplicationMessage {
    guard let type = payload.first else { throw .empty }
    var reader = ByteReader(payload.dropFirst())
    let message: ReplicationMessage?
    do {
      message = try read(type, &reader)
    } catch let error as ByteError {
      throw .malformed(type: type, error)
    } catch let error as PgOutputError {
      throw error
    } catch {
      preconditionFailure("a message is read with two kinds of errors, and this is \(error)")
    }
    guard let message else { throw .unknownMessage(type: type) }
    guard reader.isAtEnd else { throw .trailingBytes(type: type, count: reader.remaining) }
    switch message {
    case .streamStart:
      guard !isInSegment else { throw .segmentOutOfPlace(type: type) }
      isInSegment = true
    case .streamStop:
      guard isInSegment else { throw .segmentOutOfPlace(type: type) }
      isInSegment = false
    default: break
    }
    return message
  }

  /// Nil: not a message of this version.
  private func read(_ type: UInt8, _ reader: inout ByteReader) throws -> ReplicationMessage? {
    switch UnicodeScalar(type) {
    case "I":
      let xid = try segmentXid(&reader)
      let relation = try reader.uint32()
      try expect(0x4e, type, &reader)
      return .insert(xid: xid, relation: relation, new: try tuple(type, &reader))
    case "U": return try update(&reader)
    case "D":
      let xid = try segmentXid(&reader)
      let relation = try reader.uint32()
      let old = try oldTuple(try reader.uint8(), type, &reader)
      return .delete(xid: xid, relation: relation, old: old)
    case "B":
      let finalLSN = try lsn(&reader)
      return .begin(finalLSN: finalLSN, commitTime: try reader.int64(), xid: try reader.uint32())
    case "C":
      let flags = try reader.uint8()
      let commitLSN = try lsn(&reader)
      let endLSN = try lsn(&reader)
      return .commit(
        flags: flags, commitLSN: commitLSN, endLSN: endLSN, commitTime: try reader.int64())
    case "O":
      let commitLSN = try lsn(&reader)
      return .origin(commitLSN: commitLSN, name: try string(&reader))
    case "R": return .relation(try relation(&reader))
    case "Y":
      let xid = try segmentXid(&reader)
      let oid = try reader.uint32()
      let namespace = try string(&reader)
      let name = try string(&reader)
      return .type(TypeMessage(xid: xid, oid: oid, namespace: namespace, name: name))
    case "T": return try truncate(&reader)
    case "M": return try logicalMessage(&reader)
    default: break
    }
    if protocolVersion >= 2, let message = try readStreamed(type, &reader) { return message }
    if protocolVersion >= 3, let message = try readPrepared(type, &reader) { return message }
    return nil
  }

  private func readStreamed(
    _ type: UInt8, _ reader: inout ByteReader
  ) throws -> ReplicationMessage? {
    switch UnicodeScalar(type) {
    case "S":
      let xid = try reader.uint32()
      return .streamStart(xid: xid, isFirstSegment: try reader.uint8() == 1)
    case "E": return .streamStop
    case "c":
      let xid = try reader.uint32()
      let flags = try reader.uint8()
      let commitLSN = try lsn(&reader)
      let endLSN = try lsn(&reader)
      return .streamCommit(
        xid: xid, flags: flags, commitLSN: commitLSN, endLSN: endLSN,
        commitTime: try reader.int64())
    case "A":
      let xid = try reader.uint32()
      let subxid = try reader.uint32()
      // With `streaming 'parallel'`: the abort's position and time, which nobody needs.
      if protocolVersion >= 4, !reader.isAtEnd { try reader.skip(16) }
      return .streamAbort(xid: xid, subxid: subxid)
    default: return nil
    }
  }

  private func readPrepared(
    _ type: UInt8, _ reader: inout ByteReader
  ) throws -> ReplicationMessage? {
    switch UnicodeScalar(type) {
    case "b": return .beginPrepare(try prepared(&reader))
    case "P":
      try expect(0, type, &reader)
      return .prepare(try prepared(&reader))
    case "K":
      try expect(0, type, &reader)
      return .commitPrepared(try prepared(&reader))
    case "p":
      try expect(0, type, &reader)
      return .streamPrepare(try prepared(&reader))
    case "r":
      try expect(0, type, &reader)
      let prepareEndLSN = try lsn(&reader)
      let rollbackEndLSN = try lsn(&reader)
      let prepareTime = try reader.int64()
      let rollbackTime = try reader.int64()
      let xid = try reader.uint32()
      let transaction = PreparedTransaction(
        lsn: prepareEndLSN, endLSN: rollbackEndLSN, time: prepareTime, xid: xid,
        globalID: try string(&reader))
      return .rollbackPrepared(transaction, rollbackTime: rollbackTime)
    default: return nil
    }
  }

  private func update(_ reader: inout ByteReader) throws -> ReplicationMessage {
    let type = UInt8(ascii: "U")
    let xid = try segmentXid(&reader)
    let relation = try reader.uint32()
    let marker = try reader.uint8()
    guard marker != UInt8(ascii: "N") else {
      return .update(xid: xid, relation: relation, old: nil, new: try tuple(type, &reader))
    }
    let old = try oldTuple(marker, type, &reader)
    try expect(UInt8(ascii: "N"), type, &reader)
    return .update(xid: xid, relation: relation, old: old, new: try tuple(type, &reader))
  }

  private func relation(_ reader: inout ByteReader) throws -> RelationMessage {
    let xid = try segmentXid(&reader)
    let oid = try reader.uint32()
    let namespace = try string(&reader)
    let name = try string(&reader)
    let identity = try reader.uint8()
    guard let replicaIdentity = ReplicaIdentity(rawValue: identity) else {
      throw PgOutputError.unexpectedByte(
        type: UInt8(ascii: "R"), byte: identity, at: reader.position)
    }
    // Flags, an empty name, a type and its modifier.
    let count = try columnCount(&reader, bytesMin: 10)
    var columns: [RelationMessage.Column] = []
    columns.reserveCapacity(count)
    for _ in 0..<count {
      let isKey = try reader.uint8() & 1 == 1
      let name = try string(&reader)
      let typeOID = try reader.uint32()
      columns.append(
        .init(isKey: isKey, name: name, typeOID: typeOID, typeModifier: try reader.int32()))
    }
    return RelationMessage(
      xid: xid, oid: oid, namespace: namespace, name: name, replicaIdentity: replicaIdentity,
      columns: columns)
  }

  private func truncate(_ reader: inout ByteReader) throws -> ReplicationMessage {
    let xid = try segmentXid(&reader)
    let at = reader.position
    let count = Int(try reader.uint32())
    let options = try reader.uint8()
    guard count <= reader.remaining / 4 else {
      throw ByteError.countExceedsInput(at: at, count: count)
    }
    var relations: [UInt32] = []
    relations.reserveCapacity(count)
    for _ in 0..<count { relations.append(try reader.uint32()) }
    return .truncate(xid: xid, relations: relations, options: options)
  }

  private func logicalMessage(_ reader: inout ByteReader) throws -> ReplicationMessage {
    let xid = try segmentXid(&reader)
    let isTransactional = try reader.uint8() & 1 == 1
    let position = try lsn(&reader)
    let prefix = try string(&reader)
    let content = try reader.slice(Int(try reader.int32()))
    return .message(
      xid: xid, isTransactional: isTransactional, lsn: position, prefix: prefix, content: content)
  }

  private func prepared(_ reader: inout ByteReader) throws -> PreparedTransaction {
    let position = try lsn(&reader)
    let endLSN = try lsn(&reader)
    let time = try reader.int64()
    let xid = try reader.uint32()
    return PreparedTransaction(
      lsn: position, endLSN: endLSN, time: time, xid: xid, globalID: try string(&reader))
  }

  private func oldTuple(
    _ marker: UInt8, _ type: UInt8, _ reader: inout ByteReader
  ) throws -> OldTuple {
    switch UnicodeScalar(marker) {
    case "K": return .key(try tuple(type, &reader))
    case "O": return .full(try tuple(type, &reader))
    default:
      throw PgOutputError.unexpectedByte(type: type, byte: marker, at: reader.position)
    }
  }

  private func tuple(_ type: UInt8, _ reader: inout ByteReader) throws -> [TupleColumn] {
    let count = try columnCount(&reader, bytesMin: 1)
    var columns: [TupleColumn] = []
    columns.reserveCapacity(count)
    for _ in 0..<count {
      let kind = try reader.uint8()
      switch UnicodeScalar(kind) {
      case "t": columns.append(.text(try reader.slice(Int(try reader.int32()))))
      case "n": columns.append(.null)
      case "u": columns.append(.unchanged)
      case "b": columns.append(.binary(try reader.slice(Int(try reader.int32()))))
      default: throw PgOutputError.unexpectedByte(type: type, byte: kind, at: reader.position)
      }
    }
    return columns
  }

  /// A count of columns, each of which takes at least `bytesMin`.
  private func columnCount(_ reader: inout ByteReader, bytesMin: Int) throws -> Int {
    let at = reader.position
    let count = Int(try reader.int16())
    guard count >= 0 else { throw ByteError.negativeLength(at: at, length: count) }
    guard count <= reader.remaining / bytesMin else {
      throw ByteError.countExceedsInput(at: at, count: count)
    }
    return count
  }

  private func segmentXid(_ reader: inout ByteReader) throws(ByteError) -> UInt32? {
    isInSegment ? try reader.uint32() : nil
  }

  private func lsn(_ reader: inout ByteReader) throws(ByteError) -> LSN {
    LSN(try reader.uint64())
  }

  /// A string that a zero byte ends.
  private func string(_ reader: inout ByteReader) throws(ByteError) -> String {
    var rest = reader
    var count = 0
    while try rest.uint8() != 0 { count += 1 }
    let string = try reader.string(count)
    try reader.skip(1)
    return string
  }

  private func expect(_ byte: UInt8, _ type: UInt8, _ reader: inout ByteReader) throws {
    let found = try reader.uint8()
    guard found == byte else {
      throw PgOutputError.unexpectedByte(type: type, byte: found, at: reader.position)
    }
  }
}
