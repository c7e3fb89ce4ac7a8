"""What workers do. Every task may run twice, after a worker was killed, and must not mind."""
