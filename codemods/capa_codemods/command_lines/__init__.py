"""Commands in containers, process managers, workflows and shell scripts: found, never changed."""
