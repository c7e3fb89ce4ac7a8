"""The promises of databases, by theme; `capa_core.conformance.database` combines them."""
