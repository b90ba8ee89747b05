// Topologies, state and sinks.
