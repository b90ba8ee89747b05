// Postgres logical replication into topics.
