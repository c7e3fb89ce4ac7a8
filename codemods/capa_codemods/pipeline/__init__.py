"""The way of a file through a rewrite: read, rules, splice, proof, outcome."""
