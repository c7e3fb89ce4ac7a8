"""NATS: pub/sub on JetStream, state and locks in KV buckets, through nats-py."""
