"""Limits on the files that are read."""

LARGEST_BYTES = 4 * 1024 * 1024
"""A larger file is generated, and parsing it could take all memory: it is a finding."""
