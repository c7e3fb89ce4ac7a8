"""Manifests: the files that list the requirements of a project, and how one more is added to each of them."""
