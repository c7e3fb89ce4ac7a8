"""The standard API: one folder for each building block."""
