"""The promises of pub/sub, by theme; `capa_core.conformance.pubsub` combines them."""
