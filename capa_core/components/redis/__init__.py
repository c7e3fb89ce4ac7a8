"""Components of Redis and compatible servers: shared by machines, as durable as the server's configuration."""
