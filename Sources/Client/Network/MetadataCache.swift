internal import KafkaWire
internal import Platform

/// Keeps what the client knows of its cluster, and asks again when it is told that this was wrong.
///
/// (1) One request is under way at a time; who comes meanwhile waits for the next.
/// (2) A request that answers nothing new follows the one before by a pause that grows, so that a
///     partition without a leader does not make the client spin.
final class MetadataCache {
  private unowned let network: Network
  private(set) var cluster = ClusterMetadata()
  /// Topics that somebody uses, and whether they are to be made when they are not there.
  private var tracked: [String: (users: Int, creates: Bool)] = [:]
  private var observers: [(id: ObjectIdentifier, changed: () -> Void)] = []
  private var isAsking = false
  /// Somebody asked while a request was under way that may not answer them.
  private var isStale = false
  private var isTimerSet = false
  private var asksForMissing = false
  private var failures = 0
  private var lastAsked: Int64 = .min / 2
  private var lastAnswered: Int64 = .min / 2
  /// Why the last request failed; nil after one that was answered.
  private(set) var error: ClientError?

  init(_ network: Network) { self.network = network }

  /// Calls `changed` after each answer, and each failure.
  func observe(_ owner: AnyObject, _ changed: @escaping () -> Void) {
    observers.append((ObjectIdentifier(owner), changed))
  }

  func unobserve(_ owner: AnyObject) {
    observers.removeAll { $0.id == ObjectIdentifier(owner) }
  }

  func track(_ topic: String, creates: Bool = false) {
    var entry = tracked[topic] ?? (0, false)
    entry.users += 1
    entry.creates = entry.creates || creates
    tracked[topic] = entry
    if cluster.topics[topic] == nil { refresh() }
  }

  func untrack(_ topic: String) {
    guard var entry = tracked[topic] else { return }
    entry.users -= 1
    tracked[topic] = entry.users > 0 ? entry : nil
    if entry.users <= 0 { cluster.forget(topic) }
  }

  /// A broker that was named outside of metadata.
  func learn(_ node: Int32, _ host: String, _ port: Int32) {
    guard let port = UInt16(exactly: port), !host.isEmpty else { return }
    cluster.learn(node, SocketAddress(host: host, port: port))
  }

  /// What somebody asked for himself: brokers only, because nobody uses all topics of a cluster.
  func learn(_ response: MetadataResponse) {
    var brokers = response
    brokers.topics = response.topics.filter { tracked[$0.name ?? ""] != nil }
    cluster.take(brokers)
  }

  /// Asks again, soon.
  func refresh() {
    isStale = true
    schedule()
  }

  func stop(_ error: ClientError) {
    observers = []
    tracked = [:]
  }

  private func schedule() {
    guard !isAsking, !isTimerSet else { return }
    let pause = network.options.retryBackoffMilliseconds << Int64(min(failures, 6))
    let wait = max(0, lastAsked + pause - network.now)
    isTimerSet = true
    network.after(wait) { [weak self] in
      self?.isTimerSet = false
      self?.ask()
    }
    network.turnAgain()
  }

  private func ask() {
    guard !isAsking else { return }
    isAsking = true
    isStale = false
    lastAsked = network.now
    let names = topicsToAsk()
    var request = MetadataRequest()
    request.topics = names.map { name in .with { $0.name = name } }
    request.allowAutoTopicCreation = asksForMissing
    network.send(
      MetadataRequest.self, to: .any,
      { version in
        var request = request
        if version < 4 { request.allowAutoTopicCreation = true }
        return request
      },
      { [weak self] result in self?.answered(result) })
  }

  /// Creating is said per request. So topics that are to be made have requests of their own, every
  /// other one as long as there are any.
  private func topicsToAsk() -> [String] {
    let names = tracked.keys.sorted()
    let missing = names.filter { (tracked[$0]?.creates ?? false) && cluster.topics[$0] == nil }
    asksForMissing = !asksForMissing && !missing.isEmpty
    guard asksForMissing else { return names }
    if missing.count < names.count { isStale = true }
    return missing
  }

  private func answered(_ result: Result<MetadataResponse, ClientError>) {
    isAsking = false
    switch result {
    case .success(let response):
      error = nil
      lastAnswered = network.now
      cluster.take(response)
      let isComplete = tracked.keys.allSatisfy { topic in
        guard let known = cluster.topics[topic] else { return false }
        return known.partitions.allSatisfy { $0.leader >= 0 }
      }
      failures = isComplete ? 0 : failures + 1
      if !isComplete { isStale = true }
    case .failure(let error):
      self.error = error
      failures += 1
      isStale = true
    }
    for observer in observers { observer.changed() }
    if isStale { schedule() }
  }

  /// Asks when what is known has become old. Called now and then.
  func checkAge() {
    guard !tracked.isEmpty, !isAsking else { return }
    if network.now - lastAnswered >= network.options.metadataMaxAgeMilliseconds { refresh() }
  }
}
