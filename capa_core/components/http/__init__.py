"""Components of the engine `http`."""
