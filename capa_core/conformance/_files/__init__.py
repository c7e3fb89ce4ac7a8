"""The promises of files, by theme; `capa_core.conformance.files` combines them."""
