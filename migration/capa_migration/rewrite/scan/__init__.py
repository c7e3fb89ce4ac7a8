"""The scan: the SDKs that a tree uses, each place, and how well Capa serves it."""
