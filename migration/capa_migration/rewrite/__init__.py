"""The rewrite of a repository around capa_codemods: scan, plan, apply, report."""
