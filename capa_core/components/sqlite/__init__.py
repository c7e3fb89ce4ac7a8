"""The embedded default: durable, shared by all processes of one machine, no server."""
