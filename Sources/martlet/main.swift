import Platform

Signals.block([Signals.terminate, Signals.interrupt, Signals.hangUp])
ProcessLimits.raiseOpenFiles()

if let page = Help.page(Array(CommandLine.arguments.dropFirst())) {
  print(page)
  Terminal.exit(0)
}
let arguments = Arguments(CommandLine.arguments.dropFirst())
do {
  switch arguments.command {
  case "serve": try Serve(arguments).run()
  case "cluster": try ClusterCommand(arguments).run()
  case "run": try Run(pipeline: arguments).run()
  case "demo": try DemoCommand(arguments).run()
  case "capture": try CaptureCommand(arguments).run()
  case let command? where ["topic", "group", "produce", "consume"].contains(command):
    try ClientCommand.run(command, Array(CommandLine.arguments.dropFirst(2)))
  case "process": try Run(processors: arguments).run()
  case "help", "--help", "-h", nil: print(Usage.text)
  case "version", "--version": print("martlet \(Usage.version)")
  case let command?:
    let nearest = Nearest.name(to: command, among: Help.commands).map { " Did you mean \($0)?" }
    throw UsageError(
      "There is no command '\(command)'.\(nearest ?? "") 'martlet help' lists them.")
  }
} catch let error as UsageError {
  Terminal.complain(error.text)
  Terminal.exit(2)
} catch {
  Terminal.complain("\(error)")
  Terminal.exit(1)
}
