"""Running applications during a migration: trial runs, and the state of queues."""
