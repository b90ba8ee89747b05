import Bytes
import Checks
import Testing

@Suite struct `Who judges the offsets of groups` {
  private struct Group {
    var script = HistoryScript()
    private var operations: UInt64 = 1000

    mutating func commit(_ process: Int32, _ offset: Int64, generation: Int32 = 1) -> UInt64 {
      operations += 1
      script.by(
        process,
        .commitInvoked(
          operation: operations, group: 1, generation: generation, partition: 0, Offset(offset)))
      return operations
    }

    mutating func answer(
      _ process: Int32, _ operation: UInt64, _ outcome: HistoryEvent.Outcome = .ok
    ) {
      script.by(process, .commitAnswered(operation: operation, outcome))
    }

    mutating func commits(_ process: Int32, _ offset: Int64, generation: Int32 = 1) {
      let operation = commit(process, offset, generation: generation)
      answer(process, operation)
    }

    mutating func fetch(_ process: Int32) -> UInt64 {
      operations += 1
      script.by(
        process, .offsetFetchInvoked(operation: operations, group: 1, partition: 0))
      return operations
    }

    mutating func fetched(_ process: Int32, _ operation: UInt64, _ offset: Int64?) {
      script.by(
        process, .offsetFetchAnswered(operation: operation, offset.map { Offset($0) }))
    }

    mutating func fetches(_ process: Int32, _ offset: Int64) {
      let operation = fetch(process)
      fetched(process, operation, offset)
    }

    var violated: [Int] { script.judged().violated }
  }

  @Test(arguments: [Int64(-1), 5, 7, 8])
  func `C13: a fetch returns what was committed last`(answer: Int64) {
    var group = Group()
    group.fetches(2, -1)
    group.commits(1, 5)
    group.fetches(2, 5)
    group.commits(1, 7)
    group.fetches(2, answer)
    #expect(group.violated == (answer == 7 ? [] : [13]))
  }

  @Test(arguments: [Int64(-1), 5, 7, 9])
  func `C13: or one of those that were under way`(answer: Int64) {
    var group = Group()
    group.commits(1, 5)
    let unknown = group.commit(1, 7)
    group.answer(1, unknown, .unknown)
    let fetch = group.fetch(2)
    let late = group.commit(1, 9)
    group.answer(1, late)
    group.fetched(2, fetch, answer)
    #expect(group.violated == (answer == -1 ? [13] : []))
  }

  @Test func `C13: a commit without an answer may come late`() {
    var group = Group()
    let unknown = group.commit(1, 7)
    group.answer(1, unknown, .unknown)
    group.commits(1, 9)
    group.fetches(2, 9)
    group.fetches(2, 7)
    #expect(group.violated == [])
    let refused = group.commit(1, 11)
    group.answer(1, refused, .failed)
    group.fetches(2, 11)
    #expect(group.violated == [13])
  }

  @Test func `C13: a fetch without an answer holds nothing up`() {
    var group = Group()
    group.commits(1, 5)
    let fetch = group.fetch(2)
    group.commits(1, 7)
    group.fetched(2, fetch, nil)
    group.fetches(2, 5)
    #expect(group.violated == [13])
  }

  @Test func `C13: a member goes back only in a newer generation`() {
    var group = Group()
    group.commits(1, 5, generation: 3)
    group.commits(2, 4, generation: 4)
    group.fetches(1, 4)
    #expect(group.violated == [])
    group.commits(2, 3, generation: 4)
    #expect(group.violated == [13])
  }

  @Test func `C13: an older generation commits no more`() {
    var group = Group()
    let early = group.commit(1, 5, generation: 3)
    group.commits(2, 6, generation: 4)
    // Begun before: it may have come first.
    group.answer(1, early)
    #expect(group.violated == [])
    group.commits(1, 8, generation: 3)
    #expect(group.violated == [13])
  }

  @Test func `C13: a partition has one owner in a generation`() {
    var script = HistoryScript()
    script.by(1, .assigned(group: 1, generation: 3, partitions: [0, 1]))
    script.by(2, .assigned(group: 1, generation: 3, partitions: [2]))
    script.by(2, .assigned(group: 1, generation: 4, partitions: [1]))
    #expect(script.judged().violated == [])
    script.by(2, .assigned(group: 1, generation: 3, partitions: [1]))
    #expect(script.judged().violated == [13])
  }
}
