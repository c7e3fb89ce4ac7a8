"""The SDKs that a rewrite moves: their import maps, old and new names, and a fast search for them."""
