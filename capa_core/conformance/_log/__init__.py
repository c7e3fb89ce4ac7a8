"""The promises of logs, by theme; `capa_core.conformance.log` combines them."""
