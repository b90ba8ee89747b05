import Platform
import Testing

@Suite struct `Latencies are kept to within three percent` {
  @Test func `every quantile of known values`() throws {
    var sketch = LatencySketch()
    #expect(sketch.quantile(0.5) == nil)
    for value in 1...100_000 { sketch.add(Int64(value)) }
    for (share, exact) in [(0.01, 1000), (0.5, 50_000), (0.99, 99_000), (1.0, 100_000)] {
      let found = Double(try #require(sketch.quantile(share)))
      #expect(found >= Double(exact) && found <= Double(exact) * 1.032, "\(share): \(found)")
    }
  }

  @Test func `each value lies in its bucket, up to the largest`() throws {
    for shift in 0..<63 {
      for value in [Int64(1) << shift, (Int64(1) << shift) - 1, (Int64(1) << shift) + 1, .max] {
        var sketch = LatencySketch()
        sketch.add(value)
        let found = try #require(sketch.quantile(0.5))
        #expect(found >= value)
        #expect(Double(found) <= Double(value) * 1.032)
      }
    }
    var sketch = LatencySketch()
    sketch.add(-5)
    #expect(sketch.quantile(0.5) == 0)
  }

  @Test func `two together are one with the values of both`() {
    var one = LatencySketch()
    var other = LatencySketch()
    var both = LatencySketch()
    for value in [3, 70, 5000] as [Int64] {
      one.add(value)
      both.add(value)
    }
    for value in [1, 900_000] as [Int64] {
      other.add(value)
      both.add(value)
    }
    one.add(other)
    #expect(one.count == 5)
    for share in [0.1, 0.5, 0.9, 1] { #expect(one.quantile(share) == both.quantile(share)) }
  }
}
