import Platform
import Simulation

/// Simulates clusters; ends with 1 if something is wrong with one.
Console.exit(
  SimulationCommand.run(Array(CommandLine.arguments.dropFirst())) { Console.write($0 + "\n") })
