"""Drivers for QConfig, over its HTTP interface."""
