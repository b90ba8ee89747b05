/// Lines on a person's terminal that are drawn again and again in the same place.
package final class LiveTerminal {
  private var linesShown = 0

  package init() {}

  /// Up to where it began, each line over the old one, and nothing left below.
  package func show(_ lines: [String]) {
    var text = linesShown > 0 ? "\u{1b}[\(linesShown)A" : "\u{1b}[?25l"
    for line in lines { text += "\u{1b}[2K\(line)\n" }
    text += "\u{1b}[J"
    linesShown = lines.count
    Console.write(text)
  }

  /// Gives the cursor back.
  package func end() {
    if linesShown > 0 { Console.write("\u{1b}[?25h") }
    linesShown = 0
  }
}
