"""Rewrite a repository from vendor SDKs to Capa's adapters: shy, proven file by file, undoable.

The rewrite knows the adapters as data only: each has an `import_map.toml` that says which old module has which
new name. `capa_codemods.api` is the way in; `capa_migration` is the tool around it.
"""

__version__ = "0.1.0"
