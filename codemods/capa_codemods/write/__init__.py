"""Writing a tree: edits in bytes, files replaced whole, and a journal that takes a rewrite back."""
