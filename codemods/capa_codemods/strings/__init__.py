"""Strings that name something of an SDK: the calls that take them, and the remarks about the others."""
