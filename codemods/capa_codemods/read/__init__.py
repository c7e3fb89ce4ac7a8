"""Reading a tree: its files, what stands in each of them, and where in the bytes."""
