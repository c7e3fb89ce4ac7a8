"""Tasks of the workers. Each must tolerate a second run, after a worker was killed."""
