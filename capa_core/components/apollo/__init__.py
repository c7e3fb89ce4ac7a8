"""Components of the engine `apollo`."""
