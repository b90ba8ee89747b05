// What the power fails under: a store that many tasks append to, and which says what it has been
// told is durable.
//
//     power-victim run DIRECTORY       appends until it is killed or the store fails; a line on
//                                      stdout for each acknowledged event: LOG WRITER NUMBER OFFSET
//     power-victim verify DIRECTORY    reads such lines from stdin and checks that all are there
//
// Each writer numbers its events from zero, and goes on after a crash with the number after its
// last event in the log.

import Glibc

let arguments = CommandLine.arguments
switch arguments.dropFirst().first {
case "run" where arguments.count == 3: await run(arguments[2])
case "verify" where arguments.count == 3: await verify(arguments[2])
default:
  say("usage: power-victim run|verify DIRECTORY", to: 2)
  exit(2)
}
