internal import Platform

/// Where the demonstration is seen: a terminal that is redrawn, or lines, once a second.
final class DemoTerminal {
  private let isQuiet: Bool
  private let isTerminal = Console.isTerminal
  private var linesShown = 0
  private var lastLine: Int?

  init(isQuiet: Bool) { self.isQuiet = isQuiet }

  func say(_ text: String) {
    if !isQuiet { Console.write("\(text)\n") }
  }

  func show(_ figures: DemoFigures) {
    guard !isQuiet else { return }
    guard isTerminal else {
      let second = Int(figures.elapsedSeconds)
      if second != lastLine { Console.write(DemoScreen.line(figures) + "\n") }
      lastLine = second
      return
    }
    // Up to where it began, each line over the old one, and nothing left below.
    var text = linesShown > 0 ? "\u{1b}[\(linesShown)A" : "\u{1b}[?25l"
    let lines = DemoScreen.lines(figures)
    for line in lines { text += "\u{1b}[2K\(line)\n" }
    text += "\u{1b}[J"
    linesShown = lines.count
    Console.write(text)
  }

  /// Gives the cursor back.
  func end() {
    if linesShown > 0 { Console.write("\u{1b}[?25h") }
  }
}
