"""Prometheus, which fetches metrics."""
