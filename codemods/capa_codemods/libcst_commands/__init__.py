"""Commands of LibCST as rules."""
