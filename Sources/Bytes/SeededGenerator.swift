/// Random numbers that a seed determines (SplitMix64, Steele et al., OOPSLA 2014): the only source
/// of chance in a simulation.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed &>> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed &>> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed &>> 31)
  }

  /// True once in `count` times.
  package mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

  /// A number from zero up to `bound`, which it never is.
  package mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0, "a bound is above zero")
    return Int(next() % UInt64(bound))
  }
}
