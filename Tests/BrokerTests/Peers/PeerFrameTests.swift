import Broker
import Bytes
import Testing

@Suite struct `What nodes say to each other, as bytes` {
  static let hello = PeerHello(
    clusterHigh: .max, clusterLow: 2, node: -3, incarnation: 4, boot: 5, journalGroup: 6,
    clientHost: "näme", clientPort: 65535, state: [7, 8, 9])
  static let frames: [PeerFrame] = [
    .opening(PeerOpening(channel: .urgent, session: .max, to: 9, hello: hello)),
    .opening(
      PeerOpening(
        channel: .bulk, session: 0, to: 0, hello: PeerHello(node: 1, incarnation: 0, boot: 0))),
    .refusal("it is someone else"), .refusal(""), .message([]), .message([1, 2, 3]),
    .heartbeat(
      PeerHeartbeat(
        time: 1, watched: .max,
        progress: PeerProgress(loop: 2, journal: .max, loopHasWork: true, journalHasWork: false))),
    .heartbeat(
      PeerHeartbeat(
        time: .max, watched: 0,
        progress: PeerProgress(loop: 0, journal: 1, loopHasWork: false, journalHasWork: true),
        isRealtime: false)),
    .answer(time: 77), .news(hello),
  ]

  private func read(_ bytes: [UInt8]) throws -> PeerFrame? {
    var input = PeerFrameAssembler(sizeMax: PeerFrame.openingBytesMax)
    input.take(bytes[...])
    return try input.next().map { try PeerFrame.decode($0) }
  }

  @Test(arguments: frames)
  func `each kind is read as it was written`(frame: PeerFrame) throws {
    #expect(try read(frame.bytes()) == frame)
  }

  @Test(arguments: frames)
  func `what is cut short or too long is refused, message or not`(frame: PeerFrame) {
    let whole = [frame.kind.rawValue] + frame.payload()
    for count in 0..<whole.count {
      let cut = try? PeerFrame.decode(whole[..<count])
      switch cut {
      case nil, .message, .refusal: break
      default: Issue.record("\(count) bytes of \(frame) were read as \(String(describing: cut))")
      }
    }
    let long = try? PeerFrame.decode((whole + [0])[...])
    switch (frame, long) {
    case (_, nil), (.message, .message), (.refusal, .refusal): break
    default: Issue.record("a byte too many was read")
    }
  }

  @Test func `any other bytes are refused or read, and nothing else happens`() {
    var random = SeededGenerator(seed: 5)
    var read = 0
    for frame in Self.frames {
      let whole = [frame.kind.rawValue] + frame.payload()
      for index in whole.indices {
        for _ in 0..<20 {
          var changed = whole
          changed[index] = UInt8(truncatingIfNeeded: random.next())
          if (try? PeerFrame.decode(changed[...])) != nil { read += 1 }
        }
      }
    }
    for _ in 0..<10_000 {
      let bytes = (0..<random.below(80)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if (try? PeerFrame.decode(bytes[...])) != nil { read += 1 }
    }
    #expect(read > 0)
  }

  private func fault(_ frame: [UInt8]) -> String? {
    do throws(PeerFault) {
      _ = try PeerFrame.decode(frame[...])
      return nil
    } catch {
      return error.description
    }
  }

  @Test func `what is wrong is said in words`() {
    let opening = [1] + Self.frames[0].payload()
    func changed(_ index: Int, _ byte: UInt8) -> [UInt8] {
      var result = opening
      result[index] = byte
      return result
    }
    #expect(fault([]) == "it sent a frame of unknown kind 0")
    #expect(fault([99]) == "it sent a frame of unknown kind 99")
    #expect(fault(changed(1, 0)) == "it does not speak the protocol between nodes")
    #expect(
      fault(changed(10, 2)) == "it speaks version 2 of the protocol between nodes, this node 1")
    #expect(fault(changed(11, 3)) == "it opens an unknown channel 3")
    #expect(fault(opening + [0]) == "it sent 1 bytes too many in a frame of opening")
    #expect(
      fault(Array(opening.dropLast()))
        == "it sent a frame of opening that cannot be read: input ends at byte 80, "
        + "where 3 more are needed")
  }

  @Test func `what is said is bounded`() {
    var hello = Self.hello
    #expect(hello.excess == nil)
    hello.state = [UInt8](repeating: 0, count: PeerHello.stateBytesMax)
    #expect(hello.excess == nil)
    #expect(PeerFrame.news(hello).payload().count < PeerFrame.openingBytesMax)
    hello.state.append(0)
    #expect(hello.excess == "the state of a node has 65537 bytes, more than 65536")
    #expect(
      fault([6] + PeerFrame.news(hello).payload()) == "its state has 65537 bytes, more than 65536")
    hello = Self.hello
    hello.clientHost = String(repeating: "x", count: 256)
    #expect(hello.excess == "the host that clients are told has 256 bytes, more than 255")
    #expect(fault([6] + PeerFrame.news(hello).payload()) == "its host for clients has 256 bytes")
  }

  @Test func `what others say is one line of a log`() throws {
    let long = String(repeating: "ü", count: 2000)
    guard case .refusal(let cut) = try read(PeerFrame.refusal(long).bytes()) else {
      Issue.record("not a refusal")
      return
    }
    #expect(cut == String(repeating: "ü", count: 512))
    let lines = PeerFrame.refusal("one\ntwo\u{1b}[31m\u{202e}three").bytes()
    #expect(try read(lines) == .refusal("onetwo[31mthree"))
  }
}

extension PeerFrameAssembler {
  mutating func take(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while !rest.isEmpty {
      let count: Int? = receive { memory in
        let count = min(memory.count, rest.count)
        memory.copyBytes(from: rest.prefix(count))
        return (count, count)
      }
      rest = rest.dropFirst(count ?? 0)
    }
  }
}

@Suite struct `Frames out of bytes` {
  private static func frame(_ size: Int, _ byte: UInt8) -> [UInt8] {
    let count = UInt32(size)
    return (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) }
      + [UInt8](repeating: byte, count: size)
  }

  @Test func `however the bytes come, the frames are the same`() throws {
    var random = SeededGenerator(seed: 11)
    for round in 0..<60 {
      var input = PeerFrameAssembler(sizeMax: 1 << 20)
      if round % 2 == 0 { input.pool = ArrayPool(bytesMax: 1 << 20) }
      let sizes = (0..<20).map { _ in
        random.oneIn(5) ? 1 + random.below(300_000) : 1 + random.below(200)
      }
      var bytes: [UInt8] = []
      for (index, size) in sizes.enumerated() { bytes += Self.frame(size, UInt8(index)) }
      var found: [[UInt8]] = []
      var position = 0
      while position < bytes.count {
        let count = min(bytes.count - position, 1 + random.below(round % 3 == 0 ? 100 : 100_000))
        input.take(bytes[position..<position + count])
        position += count
        while let frame = try input.next() { found.append(Array(frame)) }
      }
      #expect(found == sizes.enumerated().map { [UInt8](repeating: UInt8($0), count: $1) })
      #expect(input.buffered == 0)
    }
  }

  @Test func `memory follows the bytes that came, not those that were announced`() throws {
    var input = PeerFrameAssembler(sizeMax: 64 << 20)
    input.take([0x03, 0xff, 0xff, 0xff, 3])
    #expect(try input.next() == nil)
    #expect(input.capacity < 256 << 10)
    var came = 5
    while came < 4 << 20 {
      input.take([UInt8](repeating: 0, count: 10_000)[...])
      came += 10_000
      #expect(try input.next() == nil)
      #expect(input.capacity < max(256 << 10, 3 * came))
    }
  }

  @Test func `an empty frame and one too large are refused before they have come`() {
    func fault(_ bytes: [UInt8]) -> String? {
      var input = PeerFrameAssembler(sizeMax: 1000)
      input.take(bytes[...])
      do throws(PeerFault) {
        _ = try input.next()
        return nil
      } catch {
        return error.description
      }
    }
    #expect(fault([0, 0, 0, 0]) == "it sent an empty frame")
    #expect(
      fault([0, 0, 3, 0xe9])
        == "it announced a frame of 1001 bytes, where at most 1000 may come")
    #expect(
      fault(Array("GET / HTTP/1.1\r\n".utf8))
        == "it announced a frame of 1195725856 bytes, where at most 1000 may come")
    #expect(fault([0, 0, 3, 0xe8]) == nil)
  }
}
