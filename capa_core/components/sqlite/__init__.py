"""Components of SQLite, the embedded default: durable, shared by all processes of one machine, without a server."""
