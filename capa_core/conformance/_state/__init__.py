"""The promises of state, by theme; `capa_core.conformance.state` combines them."""
