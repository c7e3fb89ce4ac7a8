"""One folder for each engine, one file in it for each block that it drives."""
