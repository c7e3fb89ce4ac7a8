"""Find out which SDKs a tree uses, where and how, and what of it Capa serves."""
