package import Bytes
package import Platform

// A disk in simulated time.
//
//     submit ──(a delay from the seed)──▶ due ──advance(to:)──▶ done, completion given to the owner
//
// (1) An operation changes files when it is done, not when it was submitted: a crash in between
//     finds it in flight.
// (2) Durable writes are done in their order, one at a time, and so are removals, as `FileDisk`
//     does them. Everything else overtakes as its delay says.
// (3) What is performed at once, on the owner's thread, takes no time, also on a disk that stalls.
// (4) A disk with nothing in flight costs nothing: `nextTime` is nil.
//
// The clock's unit is the owner's; what is set here by default is in nanoseconds.

extension VirtualDisk {
  /// What is wrong with the disk now. Its owner sets and clears it while time goes by.
  package struct Faults: Sendable {
    package var latency = Latency()
    /// Everything takes so many times as long.
    package var slowness: Int64 = 1
    /// Nothing is done before; `.max`: never.
    package var stallsUntil: Int64 = .min
    /// Syncs and durable writes of files whose paths begin so fail, and what was not durable of
    /// them is lost. An empty text is all of them.
    package var failsSyncs: String?
    /// Nothing becomes durable, and nobody is told.
    package var forgetsSyncs = false
    /// Reads of such files fail.
    package var failsReads: String?
    /// Bytes that fit; nil is no limit.
    package var capacity: Int64?

    package init() {}
  }

  /// How long operations take: at least the least, on average about as much more as the mean says,
  /// with a tail up to eight times that, and something for each byte.
  package struct Latency: Sendable {
    package var writeLeast: Int64 = 20_000
    package var writeMean: Int64 = 20_000
    /// Of syncs, and of writes that are durable when they are done.
    package var syncLeast: Int64 = 80_000
    package var syncMean: Int64 = 60_000
    package var restLeast: Int64 = 10_000
    package var restMean: Int64 = 20_000
    package var bytesPerMicrosecond: Int64 = 1000

    package init() {}

    /// Nothing takes any time.
    package static let none = {
      var latency = Latency()
      latency.writeLeast = 0
      latency.writeMean = 0
      latency.syncLeast = 0
      latency.syncMean = 0
      latency.restLeast = 0
      latency.restMean = 0
      latency.bytesPerMicrosecond = .max
      return latency
    }()

    func delay(of operation: DiskOperation, _ random: inout SeededGenerator) -> Int64 {
      switch operation {
      case .write(_, _, let parts, let isDurable):
        let bytes = parts.reduce(0) { $0 + $1.range.count }
        let time = isDurable ? draw(syncLeast, syncMean, &random) : 0
        return time + draw(writeLeast, writeMean, &random) + self.time(of: bytes)
      case .sync, .syncDirectory: return draw(syncLeast, syncMean, &random)
      case .allocate(_, let bytes):
        return draw(syncLeast, syncMean, &random) + time(of: Int(clamping: bytes))
      case .load(_, _, let part):
        return draw(restLeast, restMean, &random) + time(of: part.range.count)
      case .read(_, _, let count): return draw(restLeast, restMean, &random) + time(of: count)
      default: return draw(restLeast, restMean, &random)
      }
    }

    private func time(of bytes: Int) -> Int64 { Int64(bytes) / max(1, bytesPerMicrosecond) * 1000 }

    /// Mostly near the least: each doubling of what comes on top is half as likely.
    private func draw(_ least: Int64, _ mean: Int64, _ random: inout SeededGenerator) -> Int64 {
      guard mean > 0 else { return least }
      let doublings = min(4, random.next().trailingZeroBitCount)
      return least + Int64(random.below(Int(mean))) << Int64(doublings) / 2
    }
  }

  /// Operations that are done one at a time, in their order.
  enum Lane: Int {
    case durableWrites
    case removals

    init?(_ operation: DiskOperation) {
      switch operation {
      case .write(_, _, _, durable: true): self = .durableWrites
      case .delete, .removeDirectory, .removeTree: self = .removals
      default: return nil
      }
    }
  }
}

// MARK: - Time

extension VirtualDisk {
  /// When the next operation is done, if nothing changes; nil if none is in flight, or none ever
  /// is.
  package var nextTime: Int64? {
    guard let first = inFlight.first, faults.stallsUntil < .max else { return nil }
    return max(first.due, faults.stallsUntil)
  }

  /// Goes on to `time`. Does what is due, in the order in which it is, and gives its completions.
  package func advance(to time: Int64) -> [DiskCompletion] {
    now = max(now, time)
    guard let next = nextTime, next <= now else { return [] }
    var completions: [DiskCompletion] = []
    while let first = inFlight.first, first.due <= now, faults.stallsUntil <= now {
      completions.append(step())
    }
    return completions
  }

  /// When an operation that is submitted now is done.
  func due(_ operation: DiskOperation) -> Int64 {
    let (delay, overflows) = faults.latency.delay(of: operation, &random)
      .multipliedReportingOverflow(by: max(1, faults.slowness))
    let took = overflows ? .max / 4 : min(delay, .max / 4)
    guard let lane = Lane(operation) else { return now + took }
    laneEnds[lane.rawValue] = max(laneEnds[lane.rawValue], now) + took
    return laneEnds[lane.rawValue]
  }

  /// The error that `faults` makes of an operation.
  func faultError(_ operation: DiskOperation) -> DiskError? {
    guard faults.failsSyncs != nil || faults.failsReads != nil else { return nil }
    func begins(_ prefix: String?) -> Bool {
      guard let prefix, let path = path(of: operation) else { return false }
      return path.hasPrefix(prefix)
    }
    switch operation {
    case .sync, .syncDirectory, .write(_, _, _, durable: true):
      return begins(faults.failsSyncs) ? .failed("syncing", errno: 5) : nil
    case .read, .load, .map:
      return begins(faults.failsReads) ? .failed("reading", errno: 5) : nil
    default: return nil
    }
  }
}

// MARK: - What befalls it

extension VirtualDisk {
  package enum Crash: Sendable {
    /// The process is killed: what it wrote is there, and volatile still.
    case kill
    /// Of what is volatile, any sectors survive, and of names the first changes.
    case powerCut
  }

  /// What the next process finds. The disk's faults stay as they are, but nothing is in flight.
  package func after(_ crash: Crash, _ random: inout SeededGenerator) -> VirtualDisk {
    let disk: VirtualDisk
    switch crash {
    case .kill:
      var coins = random
      disk = afterKill { _ in coins.oneIn(2) }
    case .powerCut:
      // Nothing, little, half, most, or all.
      let outOf16 = [0, 1, 8, 15, 16][random.below(5)]
      var coins = random
      disk = afterPowerCut { _ in coins.below(16) < outOf16 }
    }
    _ = random.next()
    disk.continues(self, seed: random.next())
    return disk
  }

  /// The disk as it is if nothing volatile survives: to come back to later, as one does who
  /// restores an old copy.
  package func image() -> VirtualDisk {
    let image = afterPowerCut { _ in false }
    image.continues(self, seed: 0)
    return image
  }

  /// Another copy of an image, which stays as it is, at the time of `disk`, whose place it takes.
  package func restored(inPlaceOf disk: VirtualDisk) -> VirtualDisk {
    let copy = afterKill { _ in true }
    copy.continues(disk, seed: UInt64(bitPattern: disk.now))
    return copy
  }

  /// Where a bit was changed.
  package struct Rot: Equatable, Sendable {
    package var path: String
    package var byte: Int
  }

  /// Changes a bit of what is durable, in one of the files that may have it: of a byte that was
  /// written, if a few tries find one. Nil if those are empty.
  package func rot(
    _ random: inout SeededGenerator, where mayHave: (String) -> Bool = { _ in true }
  ) -> Rot? {
    let candidates = files.filter(mayHave).map { (path: $0, size: durableSize(of: $0)) }
    let total = candidates.reduce(0) { $0 + $1.size }
    guard total > 0 else { return nil }
    var found: Rot?
    for _ in 0..<64 {
      var byte = random.below(total)
      for (path, size) in candidates {
        if byte < size {
          found = Rot(path: path, byte: byte)
          break
        }
        byte -= size
      }
      // Files that are preallocated are mostly zeros.
      if let found, let bytes = contents(of: found.path), bytes.indices.contains(found.byte),
        bytes[found.byte] != 0
      {
        break
      }
    }
    if let found { flip(found.path, byte: found.byte, mask: 1 << UInt8(random.below(8))) }
    return found
  }
}
