import Bytes
import LogStore
import Platform
import Records
import Simulation
import Testing

/// What is appended while a flush is under way is one flush, the next.
@Suite struct `Group commit` {
  @Test(arguments: [1, 60_000, 66_000, 500_000])
  func `is one write for all that was appended before it`(bytes: Int) throws {
    let disk = VirtualDisk()
    var options = LogStoreOptions()
    options.reserveBytes = 4096
    let store = try LogStore.open(disk, options: options, newID: 1, now: 1)
    var writes = 0
    disk.fault = { operation in
      if case .write(_, _, _, durable: true) = operation { writes += 1 }
      return nil
    }
    func settle() {
      store.flush(now: 1)
      while !disk.inFlight.isEmpty { store.complete(disk.step()) }
    }
    let logs = try (0..<6).map { try store.createLog(named: "log \($0)", options: LogOptions()) }
    settle()
    writes = 0
    let batch = try StoreHarness.batch([String(repeating: "v", count: bytes)])
    for log in logs { _ = try store.append(log, batch[...], epoch: LeaderEpoch(0)) }
    // The first to be on its way; what comes meanwhile goes together.
    store.flush(now: 1)
    for log in logs { _ = try store.append(log, batch[...], epoch: LeaderEpoch(0)) }
    settle()
    #expect(writes == 2)
    for log in logs { #expect(try store.bounds(of: log).durable.offset == Offset(2)) }
  }
}
