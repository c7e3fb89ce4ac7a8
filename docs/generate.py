"""Write the pages of docs/reference/ that can be read off the code: `make docs`.

They are written from declarations beside their use (errors, abilities, settings, import maps), so there is
no second list. A test fails when a page is behind the code.
"""

import inspect
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from capa_codemods.api import Rule, rule_offers
from capa_core import errors
from capa_core.abilities import meanings
from capa_core.block import blocks
from capa_core.engine import engine_of, engines
from capa_migration.rewrite.scan.libraries import libraries

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
NOTICE = "<!-- Written by `make docs` from the code: change it there. -->"


def errors_page() -> str:
    """Return the table of errors."""
    tree = inspect.cleandoc(errors.__doc__).split("\n\n", 1)[1]
    classes = [each for each in vars(errors).values() if inspect.isclass(each)]
    rows = [
        (f"`{each.__name__}`", f"`{each.code}`", "yes" if each.retryable else "", inspect.getdoc(each))
        for each in classes
        if issubclass(each, errors.CapaError)
    ]
    drawn, _, remarks = tree.partition("\n\n")
    table = _table(["error", "code", "retryable", "meaning"], rows)
    return _page("Errors", "All of them are in `capa_core.errors`.", f"```text\n{drawn}\n```", remarks, table)


def components_page() -> str:
    """Return the abilities of each component by block, each with its provider."""
    legend = (
        "Level 0 holds on every component; 1 and 2 may be missing, so require them where they matter; X is one "
        "engine's own. An ability is `native` to the engine, given by the `driver` or by the `core`, "
        "`approximate` (see the notes), or absent (`no`). The conformance suite measures each of these claims."
    )
    needs = (
        "The abilities that only some drivers of a block have, and those drivers; in brackets those that have it nearly"
        " (see the notes below). All others hold everywhere."
    )
    return _page(
        "Components and their abilities",
        _engines(),
        f"## Engines by need\n\n{needs}\n\n{_needs()}",
        f"## Abilities by block\n\n{legend}",
        *_by_block(_abilities),
    )


def settings_page() -> str:
    """Return the settings of each component, by block."""
    intro = (
        "The keys of each component in `capa.toml`. An unknown key is an error that names the nearest match."
    )
    return _page("Settings of components", intro, *_by_block(_settings))


def coverage_page() -> str:
    """Return the support of each adapter for the original's names, from its import map."""
    intro = (
        "Every name of the original's modules that an adapter has is served in full, under the same name, unless it "
        "is listed here. Modules that it does not have are listed too: an import of them stays the original's. "
        "The lists are compared with the installed originals, module by module and name by name."
    )
    maps = [tomllib.loads(path.read_text()) for path in sorted(ROOT.glob("adapters/*/import_map.toml"))]
    return _page("Coverage of the adapters", intro, *(_coverage(each) for each in maps))


def libraries_page() -> str:
    """Return the mocks, plug-ins and instrumentation of the SDKs that the scan knows, and whether they work."""
    intro = (
        "`capa scan` lists those that a project requires or imports. **works** and **limits** were run, with "
        "the version that is named; **blind** no longer has any effect; **untried** was not run; "
        "**untouched** uses an SDK whose calls are not moved. To add one, add an entry to a file of "
        "`migration/capa_migration/rewrite/scan/companions/`."
    )
    rows = [(one.name, one.sdk, one.kind, f"**{one.verdict}**", one.says, one.tried) for one in libraries()]
    table = _table(["library", "SDK", "kind", "after the rewrite", "meaning", "tried with"], rows)
    return _page("Libraries around the SDKs", intro, table)


def rules_page() -> str:
    """Return the rules that come with the tool: when they run, what they change and leave, their settings."""
    intro = (
        "The rules of `capa migrate`. Those for names run unless they are skipped. Those for shapes change more than "
        "names: they run when `--with`, `--only`, or `with` in `[tool.capa.migrate]` names them. Packages can "
        "[bring more](../how-to/write-a-rule.md)."
    )
    rules = [offer.ours for offer in rule_offers() if offer.ours is not None]
    rows = [
        (f"`{rule.id}`", "when named" if rule.changes_shape else "always", rule.summary) for rule in rules
    ]
    return _page("Rules", intro, _table(["rule", "runs", "change"], rows), *map(_rule, rules))


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors_page,
    "components.md": components_page,
    "settings.md": settings_page,
    "coverage.md": coverage_page,
    "rules.md": rules_page,
    "libraries.md": libraries_page,
}


def _engines() -> str:
    """Return the table of the engines that have drivers, with extra, blocks, addresses and reach of each."""
    rows = []
    groups = _entry_points()
    for engine in sorted(engines().values(), key=lambda each: each.title):
        served = [
            block.name
            for block in blocks().values()
            for value in groups[block.group].values()
            if engine_of(value.partition(":")[0]) == engine
        ]
        schemes = [f"`{scheme.name}://`" for scheme in engine.schemes.values() if scheme.served]
        extra = f"`capa-core[{engine.extra}]`" if engine.extra else "`capa-core`"
        if served:
            addresses = ", ".join(dict.fromkeys(schemes))
            rows.append((engine.title, extra, ", ".join(sorted(served)), addresses, engine.reach))
    return _table(["engine", "install", "blocks", "addresses", "shared within"], rows)


def _needs() -> str:
    """Return the table of the abilities that only some drivers have, and those drivers by the reach of engines."""
    reaches = ("network", "machine", "process")
    rows = []
    for block, drivers in _drivers():
        (enum,) = {type(feature) for driver in drivers.values() for feature in driver.features}
        meant = meanings(enum)
        for feature in enum:
            having = {name: driver for name, driver in drivers.items() if driver.features[feature]}
            if len(having) < len(drivers):
                cells = [_names_within(reach, having, feature) for reach in reaches]
                rows.append((block, f"**{feature}**: {meant.get(feature.label, '')}", *cells))
    return _table(["block", "need", "by a server", "on one machine", "in one process"], rows)


def _names_within(reach: str, having: dict[str, Any], feature: Any) -> str:
    """Return the names of the drivers whose engine has *reach*, those in brackets that have the ability nearly."""
    named = {
        name: f"(`{name}`)" if driver.features[feature].how.word == "approximate" else f"`{name}`"
        for name, driver in having.items()
        if engine_of(driver.__module__).reach == reach
    }
    return ", ".join(sorted(named.values(), key=lambda shown: shown.strip("(")))


def _by_block(section: Callable[[dict[str, Any]], str]) -> Iterator[str]:
    for name, drivers in _drivers():
        yield f"## {name}\n\n{section(drivers)}"


def _drivers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each block with its drivers by their names."""
    groups = _entry_points()
    for block in sorted(blocks().values(), key=lambda each: each.name):
        names = sorted(groups[block.group].items())
        yield block.name, {name: EntryPoint(name, value, block.group).load() for name, value in names}


def _entry_points() -> dict[str, dict[str, str]]:
    """Read the file and not the installation, which may be older."""
    groups: dict[str, dict[str, str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "entry-points"
    ]
    return groups


def _abilities(drivers: dict[str, Any]) -> str:
    (enum,) = {type(feature) for driver in drivers.values() for feature in driver.features}
    meant = meanings(enum)
    rows, notes = [], []
    for feature in enum:
        supports = {name: driver.features[feature] for name, driver in drivers.items()}
        cells = [support.how.word if support else "no" for support in supports.values()]
        rows.append((f"**{feature}**: {meant.get(feature.label, '')}", feature.level.sign, *cells))
        notes += [f"- {feature}, {name}: {each.note}" for name, each in supports.items() if each.note]
    table = _table(["ability", "level", *(f"`{name}`" for name in drivers)], rows)
    return table + ("\n\n" + "\n".join(notes) if notes else "")


def _settings(drivers: dict[str, Any]) -> str:
    return "\n\n".join(_settings_of(name, driver.settings_type) for name, driver in drivers.items())


def _settings_of(name: str, model: Any) -> str:
    meanings: dict[str, str] = {}
    for base in reversed(model.__mro__):
        meanings |= _entries(inspect.cleandoc(base.__doc__ or ""), "Attributes")
    rows = [
        (f"`{key}`", f"`{_type_name(field.annotation)}`", _default(field), meanings.get(key, ""))
        for key, field in model.model_fields.items()
    ]
    return f"### driver = `{name}`\n\n" + _table(["key", "type", "default", "meaning"], rows)


def _coverage(data: dict[str, Any]) -> str:
    sdk = data["sdk"]
    rows = [
        (
            f"`{each['name']}`",
            f"`{each['argument']}`" if "argument" in each else "",
            each["support"],
            each["reason"],
        )
        for each in data.get("names", [])
        if each.get("support", "full") != "full"
    ]
    missing = unlisted(data)
    head = f"## {sdk['name']} {sdk.get('versions', '')} → `{sdk['package']}`".replace("  ", " ")
    rows += [(f"`{name}`", "", "none", "the adapter does not have it") for name in missing]
    names = _table(["name", "argument", "served", "reason"], rows) if rows else "All of it."
    commands = [
        (f"`{each['name']}`", _circumstances(each), each.get("support", "none"), each["reason"])
        for each in data.get("commands", [])
    ]
    table = _table(["command", "when", "served", "reason"], commands) if commands else ""
    return "\n\n".join(filter(None, [head, names, _covered_settings(data), table, _unserved_modules(sdk)]))


def unlisted(data: dict[str, Any]) -> list[str]:
    """Return the modules and public names of the installed original that the adapter lacks and its map does not list.

    Args:
        data: An import map.
    """
    listed = {each["name"] for each in data.get("names", [])}
    unserved = [f"{each}." for each in data["sdk"].get("unserved", [])]
    missing = []
    for old in _modules_of(data["sdk"]["roots"]):
        if old not in data["modules"]:
            missing += [] if f"{old}.".startswith(tuple(unserved)) else [old]
            continue
        ours = import_module(data["modules"][old])
        missing += [f"{old}.{name}" for name in _public_names(import_module(old)) if not hasattr(ours, name)]
    return [name for name in missing if name not in listed]


def _modules_of(roots: Sequence[str]) -> Iterator[str]:
    """Yield the modules of those of the packages *roots* that are installed."""
    for root in filter(_is_installed, roots):
        yield root
        places = getattr(import_module(root), "__path__", [])
        yield from (one.name for one in walk_packages(places, f"{root}.", onerror=lambda _: None))


def _is_installed(root: str) -> bool:
    # kombu, once imported, has put an object of its own, without a spec, in its place.
    return root in sys.modules or find_spec(root) is not None


def _public_names(module: Any) -> list[str]:
    """Return the names that *module* exports or, if it does not say so, those that it has not imported from others."""
    root = module.__name__.partition(".")[0]
    own = [name for name, value in vars(module).items() if name[0] != "_" and _home(value) in (root, "")]
    return [name for name in getattr(module, "__all__", own) if hasattr(module, name)]


def _home(value: Any) -> str:
    """Return the package of a class, function or module; empty for a constant."""
    name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
    return str(name or "").partition(".")[0]


def _covered_settings(data: dict[str, Any]) -> str:
    rows = [
        (" ".join(f"`{key}`" for key in each["keys"]), each.get("support", "none"), each["reason"])
        for each in data.get("settings", [])
    ]
    return _table(["setting", "served", "reason"], rows) if rows else ""


def _unserved_modules(sdk: dict[str, Any]) -> str:
    modules = ", ".join(f"`{each}`" for each in sdk.get("unserved", []))
    return f"Modules that stay the original's, with all below them: {modules}." if modules else ""


def _circumstances(command: dict[str, Any]) -> str:
    given = " or ".join(f"`{option}`" for option in command.get("options", []))
    values = " or ".join(f"`{value}`" for value in command.get("values", []))
    without = " or ".join(f"`{option}`" for option in command.get("without", []))
    return f"{given} {values}".strip() or (f"without {without}" if without else "")


def _entries(docstring: str, section: str) -> dict[str, str]:
    """Return the entries of one section of a docstring, each on one line."""
    found: dict[str, str] = {}
    name = ""
    for line in docstring.partition(f"{section}:\n")[2].splitlines():
        indent = len(line) - len(line.lstrip())
        if line and indent == 0:
            break
        if indent == 4:
            name, _, found[name] = (part.strip() for part in line.partition(":"))
        elif line:
            found[name] += f" {line.strip()}"
    return found


def _rule(rule: type[Rule[Any]]) -> str:
    text = inspect.getdoc(inspect.getmodule(rule)) or ""
    rows = [(f"`{key}`", f"`{default!r}`") for key, default in (rule.settings or {}).items()]
    table = _table([f"`[tool.capa.migrate.{rule.id}]`", "default"], rows) if rows else ""
    return f"## {rule.id}\n\n{text}\n\n{table}".strip()


def _type_name(annotation: Any) -> str:
    name = (
        annotation.__name__
        if inspect.isclass(annotation) and not hasattr(annotation, "__args__")
        else str(annotation)
    )
    return name.replace("typing.", "").replace("|", "or")


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return f"`{value.value if isinstance(value, Enum) else value!r}`"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(" ".join(str(cell).split()) for cell in row) + " |" for row in cells)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([NOTICE, f"# {title}", *filter(None, parts)]) + "\n"


def main() -> None:
    """Write all pages."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
