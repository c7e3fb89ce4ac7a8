"""In place of `apollo_python.__version__`: the version of the original whose client this is."""

VERSION = (1, 1, 5)

__version__ = "1.1.5"
