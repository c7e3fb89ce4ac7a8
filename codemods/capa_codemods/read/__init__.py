"""Reading a tree: its files, their content, and its places in the bytes."""
