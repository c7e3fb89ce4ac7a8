"""The promises of schedules, by theme; `capa_core.conformance.schedule` combines them."""
