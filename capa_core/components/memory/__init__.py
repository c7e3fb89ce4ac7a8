"""Components of the engine `memory`."""
