extension MetadataState {
  /// What somebody who acts on this state has to hear of when a later one takes its place.
  ///
  /// In the end it is the same as by the records between the two. What goes comes first, because a
  /// topic may have been made again under its name.
  func changes(to next: MetadataState, on nodeId: Int32) -> [Change] {
    var changes: [Change] = []
    for name in names {
      guard let topic = topics[name], next.topic(topic.id) == nil else { continue }
      changes.append(.topicDeleted(topic))
    }
    for node in next.nodes where self.node(node.id) != node {
      // What was open shows in the memberships, which are compared.
      changes.append(.nodeRegistered(node, opened: []))
    }
    noteMembership(of: .metadata, next, &changes)
    if clusterConfigs != next.clusterConfigs {
      changes.append(.brokerConfigured(node: nil))
    } else if nodeConfigs[nodeId] != next.nodeConfigs[nodeId] {
      changes.append(.brokerConfigured(node: nodeId))
    }
    for name in next.names {
      guard let topic = next.topics[name] else { continue }
      guard let before = self.topic(topic.id) else {
        changes.append(.topicCreated(topic))
        continue
      }
      if before.configs != topic.configs { changes.append(.topicConfigured(topic)) }
      if before.partitionsCount < topic.partitionsCount {
        changes.append(.partitionsAdded(topic, first: before.partitionsCount))
      }
      for index in before.partitions {
        noteMembership(of: GroupKey(topic: topic.id, partition: index), next, &changes)
      }
    }
    return changes
  }

  private func noteMembership(
    of group: GroupKey, _ next: MetadataState, _ changes: inout [Change]
  ) {
    guard let membership = next.membership(of: group), self.membership(of: group) != membership
    else { return }
    changes.append(.membershipChanged(group, membership))
  }
}
