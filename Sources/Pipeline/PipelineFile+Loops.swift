internal import Processors
internal import YAML

/// What processors write must not come back to them: each record would make another, for ever.
extension PipelineFile {
  static func checkLoops(_ processors: [Processor], line: Int) throws(YAMLError) {
    for processor in processors { try checkOwn(processor, line) }
    for processor in processors {
      // Topics that have something of this one's in them.
      var reached = processor.outputs
      var next = 0
      while next < reached.count {
        let topic = reached[next]
        next += 1
        if topic == processor.sourceTopic {
          throw YAMLError(
            line: line,
            "'\(processor.name)' would read again what it writes, through other processors, for "
              + "ever: its source \(topic) is where theirs goes; give each its own topics.")
        }
        for other in processors where other.sourceTopic == topic {
          reached += other.outputs.filter { !reached.contains($0) }
        }
      }
    }
  }

  private static func checkOwn(_ processor: Processor, _ line: Int) throws(YAMLError) {
    let results = processor.resultTopics
    let (source, letters) = (processor.sourceTopic, processor.deadLetterTopic)
    if source == letters {
      throw YAMLError(
        line: line,
        "'\(processor.name)' would read its own dead letters for ever: source and dead-letters are "
          + "both \(source); name another topic.")
    }
    if results.contains(source) {
      throw YAMLError(
        line: line,
        "'\(processor.name)' would read its own results for ever: it writes them to its source "
          + "\(source); name another topic.")
    }
    if results.contains(letters) {
      throw YAMLError(
        line: line,
        "'\(processor.name)' has results and dead letters both in \(letters); name another topic.")
    }
  }
}

extension PipelineFile.Processor {
  fileprivate var sourceTopic: String { topics.source }
  fileprivate var deadLetterTopic: String { topics.deadLetters }
  /// With those that a kind has beside the one that is named.
  fileprivate var resultTopics: [String] { topics.results }
  fileprivate var outputs: [String] { topics.results + [topics.deadLetters] }

  private var topics: (source: String, results: [String], deadLetters: String) {
    let task =
      switch kind {
      case .revenue(let options): Revenue.task(options)
      case .lowStock(let options): LowStock.task(options)
      }
    return (task.sourceTopic, task.resultTopics, task.deadLetterTopic)
  }
}
