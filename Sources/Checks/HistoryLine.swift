/// The form of a history in files: an object of JSON per event and line, with these fields. What
/// has another name is passed over.
///
///     t time   p process   e the kind of event, and by it:
///
///     name       of number text            of: process, partition, group, node
///     cluster    nodes
///     part       part compact trims
///     produce    op part [producer | idem] records        [[value, crc], ...]
///     produced   op outcome [offset epoch node]           outcome: ok, failed, unknown
///     producer   producer bump                            [id, epoch]
///     position   part offset
///     poll       part records [hw]                        [[offset, value, crc, epoch], ...]
///     end        op part
///     ended      op [offset]
///     marks      part epoch hw [stable] start
///     leader     part epoch node
///     assigned   group gen parts
///     commit     op group gen part offset
///     committed   op outcome
///     fetch      op group part
///     fetched    op [offset]
///     fault      id text nodes                            a list
///     healed     id
///     durable    part ends quorum
///     final      reader part [producer] records           as poll
///     range      reader part start end
///     hash       node part start end hash
///     table      text position side rows hash             side: source, log
///     limits     rss files threads disk
///     used       node rss files threads disk
///     error      code
///
/// Producer: [id, epoch, sequence of the first record]; `idem` is true for one that does not say.
/// What is -1 or not known may be left out. No name is longer than eight bytes: a name is a number.
struct HistoryLine {
  /// A name of at most eight bytes.
  struct Name: Hashable {
    var packed: UInt64

    init?(_ bytes: some Collection<UInt8>) {
      guard bytes.count <= 8 else { return nil }
      packed = bytes.reduce(0) { $0 &<< 8 | UInt64($1) }
    }
  }

  enum Key: Int, CaseIterable {
    case t, p, e, op, part, producer, idem, records, outcome, offset, epoch, node, hw, stable
    case start, end, group, gen, parts, id, fault, nodes, ends, quorum, reader, hash, text
    case position, side, rows, rss, files, threads, disk, code, of, number, compact, trims, bump
  }

  static let keys: [Name: Key] = Dictionary(
    uniqueKeysWithValues: Key.allCases.compactMap { key in
      Name("\(key)".utf8).map { ($0, key) }
    })

  enum Kind: String, CaseIterable {
    case name, cluster, part, produce, produced, producer, position, poll, end, ended, marks
    case leader, assigned, commit, committed, fetch, fetched, fault, healed, durable, final, range
    case hash, table, limits, used, error
  }
}

package enum HistoryError: Error, Equatable {
  /// Line (from one) and byte of it (from zero).
  case notAnEvent(line: Int, at: Int, String)
}
