"""How much is looked at."""

LARGEST_BYTES = 4 * 1024 * 1024
"""A larger file is generated, and parsing it could take all memory: it is a finding."""
