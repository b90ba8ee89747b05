/// Keeps a log readable where the same thing happens over and over: each sentence once in ten
/// seconds, with how often it would have been said.
package struct SentenceLimit {
  package static let everyMilliseconds: Int64 = 10_000
  package static let sentencesMax = 64

  private struct Said {
    var sentence: String
    var at: Int64
    var unsaid = 0
  }

  private var said: [Said] = []

  package init() {}

  /// What to say, if anything.
  package mutating func admit(_ sentence: String, now: Int64) -> String? {
    if let index = said.firstIndex(where: { $0.sentence == sentence }) {
      guard now - said[index].at >= Self.everyMilliseconds else {
        said[index].unsaid += 1
        return nil
      }
      let unsaid = said[index].unsaid
      said[index] = Said(sentence: sentence, at: now)
      return unsaid == 0 ? sentence : "\(sentence) (and \(unsaid) times since it was last said)"
    }
    said.removeAll { now - $0.at >= Self.everyMilliseconds }
    // Who makes up sentences is heard no more than others.
    guard said.count < Self.sentencesMax else { return nil }
    said.append(Said(sentence: sentence, at: now))
    return sentence
  }
}
