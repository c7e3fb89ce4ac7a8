"""Run an unmodified application as if it had been rewritten.

What the rewrite does to the text, the trial does when the text is run: an import that stands in a file of the project
comes from the adapter, an import anywhere else from the original.
"""
