"""Trial runs: an unmodified application runs as if it had been rewritten.

The trial maps names when the code runs as the rewrite maps them in its text: an import in a file of the project comes
from the adapter, an import anywhere else from the original.
"""
