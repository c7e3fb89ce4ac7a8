"""Write what the core knows of its blocks and drivers without importing them: a part of `make docs`.

Type checkers need some of it in full, from each `BLOCK`: between two comments in `capa_core/__init__.py` and
`capa_core/runtime/_runtime.py`. The abilities of the drivers are in `capa_core/components/abilities.json`. A test fails
when one of them is behind the code.
"""

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import capa_core
from capa_core import declared
from capa_core.block import Block, blocks
from capa_core.runtime import _runtime

BEGIN = "# Written by `make docs` from the blocks:"
END = "# End of the written part"


def main() -> None:
    """Write all parts."""
    for path, parts in FILES.items():
        path.write_text(written(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
    declared.FILE.write_text(declared.written(), encoding="utf-8")


def written(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """Return *text* with each of *parts* up to date, found by the comment before it."""
    for name, part in parts.items():
        pattern = rf"^( *){re.escape(f'{BEGIN} {name}')}\n.*?^ *{re.escape(END)}\n"
        (found,) = re.finditer(pattern, text, re.DOTALL | re.MULTILINE)
        lines = f"{BEGIN} {name}\n{part()}{END}\n"
        text = text[: found.start()] + textwrap.indent(lines, found[1]) + text[found.end() :]
    return text


def _by_name() -> list[Block]:
    return sorted(blocks().values(), key=lambda each: each.name)


def _face_imports() -> str:
    lines = [f"    from {_home(each)} import {', '.join(sorted(each.face))}\n" for each in _by_name()]
    return "".join(["if TYPE_CHECKING:\n", *lines])


def _face_names() -> str:
    homes = sorted((name, _home(each)) for each in _by_name() for name in each.face)
    names = "".join(f'    "{name}",\n' for name, _ in homes)
    table = "".join(f'    "{name}": "{home}",\n' for name, home in homes)
    return f"__all__ += [\n{names}]\n_HOMES |= {{\n{table}}}\n"


def _runtime_imports() -> str:
    lines = [f"    from {_home(each)} import {each.portable.__name__}\n" for each in _by_name()]
    return "".join(["if TYPE_CHECKING:\n", *lines])


def _accessors() -> str:
    return "".join(f"{_accessor(each)}\n" for each in _by_name())


def _accessor(block: Block) -> str:
    name = block.one_per or "name"
    default = "" if block.one_per else ' = "default"'
    portable = block.portable.__name__
    return (
        "@call_traits(immediate=True)\n"
        f"def {block.name}(self, {name}: str{default}) -> {portable}:\n"
        f'    """Return the {block.name} component that serves *{name}*."""\n'
        f'    return cast("{portable}", self.component("{block.name}", {name}))\n'
    )


def _home(block: Block) -> str:
    return f"capa_core.blocks.{block.name}"


def _file(module: ModuleType) -> Path:
    return Path(str(module.__file__))


FILES: dict[Path, dict[str, Callable[[], str]]] = {
    _file(capa_core): {"imports": _face_imports, "names": _face_names},
    _file(_runtime): {"imports": _runtime_imports, "accessors": _accessors},
}

if __name__ == "__main__":
    main()
