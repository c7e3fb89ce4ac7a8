"""Redis, and what speaks its protocol: shared by machines, as durable as its server is told to be."""
