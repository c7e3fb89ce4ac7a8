"""The files that say which distributions a project needs, and how one more is asked for in each of them."""
