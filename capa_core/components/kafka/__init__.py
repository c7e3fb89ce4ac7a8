"""Drivers for Kafka."""
