"""The rewrite of a repository with capa_codemods: scan, plan, apply, report."""
