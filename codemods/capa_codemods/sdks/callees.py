"""Calls that take the name of something to patch, to wrap or to import, by their usual names."""

from __future__ import annotations

from collections.abc import Mapping

Callees = Mapping[str, tuple[int | str, ...]]
"""Callee, by its last name → the number and the keywords of the argument that names something."""

PATCHES: Callees = {
    "patch": (0, "target"),
    "setattr": (0, "target"),
    "delattr": (0, "target"),
    "multiple": (0, "target"),
}
METHODS = frozenset({"setattr", "delattr"})
"""Those of `PATCHES` that are builtins too, which take no name of a module."""
MODULES: Callees = {
    "import_module": (0, "name"),
    "__import__": (0, "name"),
    "importorskip": (0, "modname"),
    "find_spec": (0, "name"),
}
OBJECTS: Callees = {
    "import_string": (0, "dotted_path"),
    "symbol_by_name": (0, "name"),
    "resolve_name": (0, "name"),
}
WRAPPERS: Callees = {
    "wrap_function_wrapper": (0, "target", "module"),
    "patch_function_wrapper": (0, "target", "module"),
    "transient_function_wrapper": (0, "target", "module"),
    "wrap_object": (0, "target", "module"),
    "wrap_object_attribute": (0, "module"),
    "register_post_import_hook": (1, "name"),
    "when_imported": (0, "name"),
}
"""Functions of wrapt."""
KINDS = {"patch": PATCHES, "import": MODULES, "object": OBJECTS, "wrap": WRAPPERS}
