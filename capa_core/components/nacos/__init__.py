"""Drivers for Nacos, over its HTTP interface."""
