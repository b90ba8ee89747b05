internal import Bytes

/// What nodes say to each other, as bytes. Integers are big-endian.
///
/// | bytes | |
/// |---|---|
/// | 4 | size of what follows, at least 1 |
/// | 1 | kind |
/// | size - 1 | payload |
///
/// | kind | payload |
/// |---|---|
/// | 1 opening | magic u64, version u16, channel u8, session u64, to i32, hello |
/// | 2 refusal | a sentence, UTF-8 |
/// | 3 message | what the node sends |
/// | 4 heartbeat | time u64, watched i64, loop, journal u64, flags u8 (1 loop, 2 journal, 4 FIFO) |
/// | 5 answer | the heartbeat's time u64 |
/// | 6 news | hello |
///
/// hello: cluster u64 u64, node i32, incarnation u64, boot u64, journal group u64, client port u16,
/// host (u16 size, UTF-8), state (u32 size).
///
/// The first frame of each side is an opening, or a refusal and then the end. Messages go on both
/// channels, heartbeats, answers and news on the urgent one.
package enum PeerFrame: Equatable, Sendable {
  case opening(PeerOpening)
  case refusal(String)
  case message(ArraySlice<UInt8>)
  case heartbeat(PeerHeartbeat)
  case answer(time: UInt64)
  case news(PeerHello)

  /// "MARTLETP"
  package static let magic: UInt64 = 0x4D41_5254_4C45_5450
  package static let version: UInt16 = 1

  package enum Kind: UInt8 {
    case opening = 1
    case refusal, message, heartbeat, answer, news
  }

  /// Of a whole frame, without its four bytes of size.
  package static let openingBytesMax = PeerHello.stateBytesMax + 1024
  package static let bulkBytesMax = 64 << 20
  package static let urgentBytesMax = 1 << 20
  package static let refusalBytesMax = 1024

  package static func bytesMax(_ channel: PeerChannel) -> Int {
    channel == .bulk ? bulkBytesMax : urgentBytesMax
  }
}

/// The first frame of a connection.
package struct PeerOpening: Equatable, Sendable {
  package var channel: PeerChannel
  /// Names the pair of connections that this one is half of. Counted up by who connects.
  package var session: UInt64
  /// Whom the sender believes to talk to.
  package var to: Int32
  package var hello: PeerHello

  package init(channel: PeerChannel, session: UInt64, to: Int32, hello: PeerHello) {
    self.channel = channel
    self.session = session
    self.to = to
    self.hello = hello
  }
}

package struct PeerHeartbeat: Equatable, Sendable {
  /// The sender's clock in nanoseconds, which comes back.
  package var time: UInt64
  /// How long the sender has been watching, in milliseconds: its clock without the times when it
  /// did not run.
  package var watched: Int64
  package var progress: PeerProgress
  /// Whether the sender's heartbeats come in time on a machine that is busy.
  package var isRealtime: Bool

  package init(
    time: UInt64, watched: Int64, progress: PeerProgress, isRealtime: Bool = true
  ) {
    self.isRealtime = isRealtime
    self.time = time
    self.watched = watched
    self.progress = progress
  }
}

/// How far a node has come. Nobody compares the counters with anything but earlier ones.
package struct PeerProgress: Equatable, Sendable {
  package var loop: UInt64 = 0
  package var journal: UInt64 = 0
  package var loopHasWork = false
  package var journalHasWork = false

  package init(
    loop: UInt64 = 0, journal: UInt64 = 0, loopHasWork: Bool = false, journalHasWork: Bool = false
  ) {
    self.loop = loop
    self.journal = journal
    self.loopHasWork = loopHasWork
    self.journalHasWork = journalHasWork
  }
}

// MARK: Decoding

extension PeerFrame {
  /// `frame` is without its size.
  package static func decode(_ frame: ArraySlice<UInt8>) throws(PeerFault) -> PeerFrame {
    guard let first = frame.first, let kind = Kind(rawValue: first) else {
      throw PeerFault("it sent a frame of unknown kind \(frame.first ?? 0)")
    }
    if kind == .message { return .message(frame.dropFirst()) }
    var reader = ByteReader(frame.dropFirst())
    do {
      let result = try decode(kind, &reader)
      guard reader.isAtEnd else {
        throw PeerFault("it sent \(reader.remaining) bytes too many in a frame of \(kind)")
      }
      return result
    } catch let fault as PeerFault {
      throw fault
    } catch {
      throw PeerFault("it sent a frame of \(kind) that cannot be read: \(error)")
    }
  }

  private static func decode(_ kind: Kind, _ reader: inout ByteReader) throws -> PeerFrame {
    switch kind {
    case .opening: return .opening(try opening(&reader))
    case .refusal:
      guard reader.remaining <= refusalBytesMax else {
        throw PeerFault("it refuses in \(reader.remaining) bytes")
      }
      return .refusal(try printable(reader.string(reader.remaining)))
    case .message: return .message(try reader.slice(reader.remaining))
    case .heartbeat:
      let time = try reader.uint64()
      let watched = try reader.int64()
      guard watched >= 0 else { throw PeerFault("its heartbeat has a negative time") }
      var progress = PeerProgress(loop: try reader.uint64(), journal: try reader.uint64())
      let flags = try reader.uint8()
      guard flags <= 7 else { throw PeerFault("its heartbeat has unknown flags \(flags)") }
      progress.loopHasWork = flags & 1 != 0
      progress.journalHasWork = flags & 2 != 0
      return .heartbeat(
        PeerHeartbeat(
          time: time, watched: watched, progress: progress, isRealtime: flags & 4 != 0))
    case .answer: return .answer(time: try reader.uint64())
    case .news: return .news(try hello(&reader))
    }
  }

  private static func opening(_ reader: inout ByteReader) throws -> PeerOpening {
    guard try reader.uint64() == magic else {
      throw PeerFault("it does not speak the protocol between nodes")
    }
    let version = try reader.uint16()
    guard version == Self.version else {
      throw PeerFault(
        "it speaks version \(version) of the protocol between nodes, this node \(Self.version)")
    }
    let number = try reader.uint8()
    guard let channel = PeerChannel(rawValue: number) else {
      throw PeerFault("it opens an unknown channel \(number)")
    }
    return PeerOpening(
      channel: channel, session: try reader.uint64(), to: try reader.int32(),
      hello: try hello(&reader))
  }

  private static func hello(_ reader: inout ByteReader) throws -> PeerHello {
    var hello = PeerHello(
      clusterHigh: try reader.uint64(), clusterLow: try reader.uint64(),
      node: try reader.int32(), incarnation: try reader.uint64(), boot: try reader.uint64(),
      journalGroup: try reader.uint64())
    hello.clientPort = try reader.uint16()
    let hostBytes = Int(try reader.uint16())
    guard hostBytes <= PeerHello.hostBytesMax else {
      throw PeerFault("its host for clients has \(hostBytes) bytes")
    }
    hello.clientHost = try reader.string(hostBytes)
    let stateBytes = Int(try reader.uint32())
    guard stateBytes <= PeerHello.stateBytesMax else {
      throw PeerFault("its state has \(stateBytes) bytes, more than \(PeerHello.stateBytesMax)")
    }
    hello.state = Array(try reader.slice(stateBytes))
    return hello
  }

  /// What others say goes into a log, one line each.
  private static func printable(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.properties.isPrintable }))
  }
}

extension Unicode.Scalar.Properties {
  fileprivate var isPrintable: Bool {
    switch generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
      .unassigned:
      false
    default: true
    }
  }
}

// MARK: Encoding

extension PeerFrame {
  package var kind: Kind {
    switch self {
    case .opening: .opening
    case .refusal: .refusal
    case .message: .message
    case .heartbeat: .heartbeat
    case .answer: .answer
    case .news: .news
    }
  }

  /// Without size and kind.
  package func payload() -> [UInt8] {
    switch self {
    case .opening(let opening):
      return unsafe ByteWriter.array(23 + opening.hello.size) { writer in
        unsafe writer.integer(Self.magic)
        unsafe writer.integer(Self.version)
        unsafe writer.integer(opening.channel.rawValue)
        unsafe writer.integer(opening.session)
        unsafe writer.integer(opening.to)
        unsafe opening.hello.write(to: &writer)
      }
    case .refusal(let text):
      var bytes = Array(text.utf8.prefix(Self.refusalBytesMax))
      // A character that was cut in two would make the rest unreadable.
      while !bytes.isEmpty, String(validating: bytes, as: UTF8.self) == nil { bytes.removeLast() }
      return bytes
    case .message(let bytes): return Array(bytes)
    case .heartbeat(let heartbeat):
      let progress = heartbeat.progress
      return unsafe ByteWriter.array(33) { writer in
        unsafe writer.integer(heartbeat.time)
        unsafe writer.integer(heartbeat.watched)
        unsafe writer.integer(progress.loop)
        unsafe writer.integer(progress.journal)
        unsafe writer.integer(heartbeat.flags)
      }
    case .answer(let time): return unsafe ByteWriter.array(8) { unsafe $0.integer(time) }
    case .news(let hello):
      return unsafe ByteWriter.array(hello.size) { unsafe hello.write(to: &$0) }
    }
  }

  /// All of it, for who writes to a socket by hand.
  package func bytes() -> [UInt8] {
    let payload = payload()
    return unsafe ByteWriter.array(5 + payload.count) { writer in
      unsafe writer.integer(UInt32(1 + payload.count))
      unsafe writer.integer(kind.rawValue)
      unsafe writer.bytes(payload[...])
    }
  }
}

extension PeerHeartbeat {
  fileprivate var flags: UInt8 {
    (progress.loopHasWork ? 1 : 0) | (progress.journalHasWork ? 2 : 0) | (isRealtime ? 4 : 0)
  }
}

extension PeerHello {
  fileprivate var size: Int { 52 + clientHost.utf8.count + state.count }

  fileprivate func write(to writer: inout ByteWriter) {
    unsafe writer.integer(clusterHigh)
    unsafe writer.integer(clusterLow)
    unsafe writer.integer(node)
    unsafe writer.integer(incarnation)
    unsafe writer.integer(boot)
    unsafe writer.integer(journalGroup)
    unsafe writer.integer(clientPort)
    unsafe writer.integer(UInt16(clientHost.utf8.count))
    unsafe writer.utf8(clientHost)
    unsafe writer.integer(UInt32(state.count))
    unsafe writer.bytes(state[...])
  }
}
