"""The parts of the configuration suite; use `capa_core.conformance.configuration`."""
