"""Pins that exclude the versions that Capa needs: no environment can have both, so the manifest stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from capa_codemods.findings import Finding
from capa_codemods.manifests.needs import PYTHON, Need, is_for_older_python, needs
from capa_codemods.manifests.pins import Manifest, Pin
from capa_codemods.manifests.requirement import Requirement, read_requirement
from capa_codemods.manifests.requirements_file import RequirementsFile
from capa_codemods.manifests.versions import allows_older, are_disjoint
from capa_codemods.project import Project
from capa_codemods.sdks.names import CAPA_DISTRIBUTION, Names


class _Read(NamedTuple):
    """A pin, read; *path* is the file that has it, where that is another one."""

    found: Requirement
    line: int
    path: str = ""


def excluding_pins(rule: str, pins: Iterable[Pin], names: Names) -> list[Finding]:
    """Return a finding of *rule* for each of *pins* that excludes Capa with the extras for the SDKs among them."""
    return _excluding(rule, list(_read(pins)), [], names)


def exclusions(rule: str, file: Manifest, project: Project) -> list[Finding]:
    """Return the findings of *rule* for the pins that exclude Capa from *file*.

    They are in the file, or in one that is installed with it: then the finding is at the first SDK in *file*.
    """
    own = list(_read(file.pins))
    for paths in [frozenset[str](), *project.inclusions.beside(file.path)]:
        beside = [one for path in sorted(paths) for one in _pins_in(path, project.text_of(path))]
        if found := _excluding(rule, own, beside, project.names):
            return found
    return []


def older_pythons(rule: str, file: Manifest, project: Project) -> Iterator[Finding]:
    """Yield a finding of *rule* for each range of Python's versions in *file*, with Capa, that begins too early."""
    pins = list(_read(file.pins))
    need = next((one for one in needs((), project.names) if one.name == PYTHON), None)
    if need is None or not set(_extras(pins, project.names)):
        return
    for pin in pins:
        if pin.found.name == PYTHON and allows_older(pin.found.versions, need.versions):
            message = f"`{_text(pin.found)}` allows versions that {need.by} does not run on: it needs {need.versions}"
            step = "raise it: uv, Poetry and PDM look for a solution for all versions and find none"
            yield Finding(rule, pin.line, "warning", message, step)


def _excluding(rule: str, own: Sequence[_Read], beside: Sequence[_Read], names: Names) -> list[Finding]:
    extras = set(_extras((*own, *beside), names))
    wanted = list(needs(extras, names)) if extras else []
    if found := list(_excluded(own, wanted)):
        return [_finding(rule, pin.line, pin, need) for pin, need in found]
    place = next((one.line for one in own if set(_extras([one], names))), 0)
    return [_finding(rule, place, pin, need) for pin, need in _excluded(beside, wanted)] if place else []


@lru_cache(maxsize=256)  # one file of constraints is often beside many
def _pins_in(path: str, text: str) -> tuple[_Read, ...]:
    return tuple(_read(RequirementsFile(path, text.encode()).pins, path))


def _read(pins: Iterable[Pin], path: str = "") -> Iterator[_Read]:
    for pin in pins:
        if found := read_requirement(pin.text):
            yield _Read(found, pin.line, path)


def _extras(pins: Iterable[_Read], names: Names) -> Iterator[str]:
    """Yield the extras of Capa that are required, or needed by the SDKs that are."""
    for pin in pins:
        if pin.found.name == CAPA_DISTRIBUTION:
            yield from pin.found.extras
        elif owner := names.required(pin.found.name):
            yield owner.extra


def _excluded(pins: Iterable[_Read], wanted: Sequence[Need]) -> Iterator[tuple[_Read, Need]]:
    for pin in pins:
        if need := next((one for one in wanted if _excludes(pin.found, one)), None):
            yield pin, need


def _excludes(found: Requirement, need: Need) -> bool:
    return (
        found.name == need.name
        and are_disjoint(found.versions, need.versions)
        and not is_for_older_python(found.marker)
    )


def _finding(rule: str, line: int, pin: _Read, need: Need) -> Finding:
    place = f" in {pin.path}, line {pin.line}," if pin.path else ""
    message = f"`{_text(pin.found)}`{place} excludes {need.by}, which needs {need.name}{need.versions}"
    step = f"move to {need.name}{need.versions} and run again: until then this file stays as it is"
    return Finding(rule, line, "error", message, step)


def _text(found: Requirement) -> str:
    space = " " if found.versions[:1].isalnum() else ""  # tables have plain numbers
    return f"{found.name}{space}{found.versions}"
