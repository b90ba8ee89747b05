internal import LocalCluster
internal import Platform

/// Where the demonstration is seen: a terminal that is redrawn, or lines, once a second.
final class DemoTerminal {
  private let isQuiet: Bool
  private let live = Console.isTerminal ? LiveTerminal() : nil
  private var lastLine: Int?

  init(isQuiet: Bool) { self.isQuiet = isQuiet }

  func say(_ text: String) {
    if !isQuiet { Console.write("\(text)\n") }
  }

  /// On a terminal it is part of what is shown.
  func say(_ event: ClusterEvent) {
    if live == nil { say(event.text) }
  }

  func show(_ figures: DemoFigures) {
    guard !isQuiet else { return }
    guard let live else {
      let second = Int(figures.elapsedSeconds)
      if second != lastLine { Console.write(DemoScreen.line(figures) + "\n") }
      lastLine = second
      return
    }
    live.show(DemoScreen.lines(figures))
  }

  /// Gives the cursor back.
  func end() { live?.end() }
}
