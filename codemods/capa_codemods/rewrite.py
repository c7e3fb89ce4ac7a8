"""Examine files with the rules, prove what they would become, and say so. Nothing is written here."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from capa_codemods.combine import combined, unproven
from capa_codemods.consult import Said, consult, fault
from capa_codemods.engine.document import Document, change_of
from capa_codemods.engine.python_file import PythonFile
from capa_codemods.engine.splice import ordered, splice
from capa_codemods.engine.write import digest, read_file, read_file_with_stat
from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit, Outcome
from capa_codemods.project import Project
from capa_codemods.rule import OURS, Rule
from capa_codemods.sieve import Sieve


class _Readers(NamedTuple):
    """The rules that read one kind of document: for files that name an SDK, and for files with words of their own."""

    plain: list[Rule[Any]]
    worded: list[tuple[Rule[Any], list[bytes]]]


class Rewrite:
    """A choice of rules over one tree."""

    def __init__(self, project: Project, rules: Iterable[Rule[Any]]) -> None:
        """Apply *rules* to the files of *project*."""
        self.project = project
        self._rules = tuple(rules)
        self._readers: dict[type[Document], _Readers] = {}
        for rule in self._rules:
            readers = self._readers.setdefault(rule.reads, _Readers([], []))
            if rule.words:
                readers.worded.append((rule, [word.encode() for word in rule.words]))
            else:
                readers.plain.append(rule)
        self._by_last_letter: dict[str, list[type[Document]]] = {}
        self._kinds_of: dict[str, list[type[Document]]] = {}
        self._sieves: dict[frozenset[str], Sieve] = {}

    def without(self, rules: Collection[str]) -> Rewrite:
        """Return the same rewrite less *rules*."""
        return Rewrite(self.project, [rule for rule in self._rules if rule.id not in rules])

    def concerns(self, path: str) -> bool:
        """Say by its name whether a rule reads the file at *path*."""
        return bool(self._kinds(path))

    def glance(self, path: str) -> tuple[os.stat_result | None, bool]:
        """Return what the file at *path* was before it was read, and whether a rule could have anything to say of it.

        Nothing and False if it is not there; nothing and True if it is out of reach, which `examine` tells of.
        """
        place = f"{self.project.root}/{path}"
        try:
            found = read_file_with_stat(place)
            if found is not None:
                return found[1], bool(self._wanted(path, found[0]))
        except OSError:
            may_concern = True  # `examine` says why it cannot be read
        else:
            may_concern = False  # a link, a pipe
        try:
            return os.lstat(place), may_concern
        except OSError:
            return None, may_concern

    def examine(self, path: str) -> Outcome:
        """Read the file at *path*, relative to the root, and return what would become of it."""
        try:
            data = read_file(f"{self.project.root}/{path}")
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            return Outcome(
                path, "failed", reason=reason, next_step="allow reading it, or leave it out with --exclude"
            )
        if data is None:  # a link, a pipe, or gone by now: not a file of this tree
            return Outcome(path, "clean")
        return self.examine_data(path, data)

    def remark(self, path: str) -> Outcome | None:
        """Return what `examine` returns, or None if there is nothing to say about the file."""
        outcome = self.examine(path)
        return outcome if outcome.status != "clean" or outcome.findings or outcome.settings else None

    def examine_data(self, path: str, data: bytes) -> Outcome:
        """Return what would become of a file at *path* that holds *data*."""
        wanted = self._wanted(path, data)
        readings = [(kind, self._read_as(kind, path, data, rules)) for kind, rules in wanted]
        if not readings:
            return Outcome(path, "clean")
        outcome = combined(data, readings, self.project.names)
        kinds = [kind for kind, _ in wanted]
        return _with_misnamed(outcome, data, kinds) if b"capa:" in data else outcome

    def _wanted(self, path: str, data: bytes) -> list[tuple[type[Document], list[Rule[Any]]]]:
        """Return the kinds that the file can be read as, each with the rules that may have something to say."""
        found = []
        for kind in self._kinds(path):
            readers = self._readers[kind]
            rules = [rule for rule, words in readers.worded if any(word in data for word in words)]
            if readers.plain and kind.may_concern(data, self.project.names):
                rules = rules if self._names_itself_alone(kind, path, data) else readers.plain + rules
            if rules:
                found.append((kind, rules))
        return found

    def _names_itself_alone(self, kind: type[Document], path: str, data: bytes) -> bool:
        """Say whether the file is of a copy of an SDK, such as a vendored one, and names no other."""
        copies = self.project.copies_around(path) if kind is PythonFile else frozenset()
        if not copies:
            return False
        if copies not in self._sieves:
            self._sieves[copies] = Sieve(self.project.names.roots.keys() - copies)
        return not self._sieves[copies].imports_or_quotes(data)

    def _kinds(self, path: str) -> list[type[Document]]:
        """Return the kinds that the file can be read as."""
        # Every file of a tree is asked, and those that concern a rule again when they have been read.
        kinds = self._kinds_of.get(path)
        if kinds is None:
            kinds = self._kinds_of[path] = self._kinds_by_name(path)
        return kinds

    def _kinds_by_name(self, path: str) -> list[type[Document]]:
        # Most kinds are ruled out by the last letter of their suffixes.
        last = path[-1:]
        if last not in self._by_last_letter:
            self._by_last_letter[last] = [
                kind for kind in self._readers if any(suffix[-1:] in last for suffix in kind.suffixes)
            ]
        possible = self._by_last_letter[last]
        return [kind for kind in possible if path.endswith(kind.suffixes) and kind.claims(path)]

    def _read_as(self, kind: type[Document], path: str, data: bytes, rules: Sequence[Rule[Any]]) -> Outcome:
        if kind is PythonFile and not any(rule.changes_shape or rule.package != OURS for rule in rules):
            part = PythonFile.in_part(path, data, self.project.names)
            said = [consult(rule, part, self.project) for rule in rules] if part else []
            # A warning may be due to what the rest of the file would say; whether there are edits is not.
            if part and not any(one.edits or (_warns(one) and not one.rule.is_local) for one in said):
                return _clean(path, said)
        try:
            file = kind(path, data)
        except UnreadableError as error:
            return Outcome(path, "failed", reason=str(error), line=error.line, next_step=error.next_step)
        names_only = [consult(rule, file, self.project) for rule in rules if not rule.changes_shape]
        shaping = [rule for rule in rules if rule.changes_shape]
        if not shaping and not any(said.edits for said in names_only):
            return _clean(path, names_only)
        return self._proven(file, names_only, shaping)

    def _proven(self, file: Document, names_only: list[Said], shaping: list[Rule[Any]]) -> Outcome:
        edits: list[Edit] = []
        is_ours_alone = all(said.rule.package == OURS for said in names_only if said.edits)
        is_proven = is_ours_alone and not self._flaw(file, [one for said in names_only for one in said.edits])
        for number, said in enumerate(names_only):
            is_ours = said.rule.package == OURS
            flaw = None if is_proven else self._flaw(file, [*edits, *said.edits])
            if flaw and is_ours:
                return unproven(file.path, flaw)._replace(findings=_clean(file.path, names_only).findings)
            # What others make must not spoil what is proven.
            if flaw := flaw or (None if is_ours else self._flaw_of_second_run(file, said)):
                names_only[number] = _refused(said, flaw)
            else:
                edits += said.edits
        shaped = []
        if shaping:
            from capa_codemods.reshape import reshape

            shaped = reshape(file, shaping, edits, self.project)
        return _changed(
            file, [*edits, *(edit for said in shaped for edit in said.edits)], [*names_only, *shaped]
        )

    def _flaw_of_second_run(self, file: Document, said: Said) -> str | None:
        if not said.edits:
            return None
        try:
            alone = type(file)(file.path, splice(file.data, ordered(said.edits)))
        except UnreadableError as error:
            return str(error)
        again = consult(said.rule, alone, self.project)
        return "a second run would change the result again" if again.edits else None

    def _flaw(self, file: Document, edits: list[Edit]) -> str | None:
        if not edits:
            return None
        try:
            done = ordered(edits)
            return file.flaw(splice(file.data, done), done, self.project.names)
        except ValueError as error:
            return str(error)


def _clean(path: str, said: list[Said]) -> Outcome:
    findings = tuple(finding for one in said for finding in one.findings)
    return Outcome(
        path, "clean", findings=findings, settings=tuple(item for one in said for item in one.settings)
    )


def _warns(said: Said) -> bool:
    return any(finding.level != "note" for finding in said.findings)


def _changed(file: Document, edits: list[Edit], said: list[Said]) -> Outcome:
    clean = _clean(file.path, said)
    if not edits:
        return clean
    done = ordered(edits)
    changes = tuple(change_of(file.data, file.line_starts, edit) for edit in done)
    digests = (digest(file.data), digest(splice(file.data, done)))
    return clean._replace(status="changed", edits=done, changes=changes, digests=digests)


def _with_misnamed(outcome: Outcome, data: bytes, kinds: Sequence[type[Document]]) -> Outcome:
    from capa_codemods.ignored import misnamed

    kind = next((one for one in kinds if one.is_python), kinds[0])
    return outcome._replace(findings=(*outcome.findings, *misnamed(kind, outcome.path, data)))


def _refused(said: Said, flaw: str) -> Said:
    finding = fault(said.rule, f"makes edits that could not be proven: {flaw}")
    return Said(said.rule, findings=(*said.findings, finding))


def crashed_outcome(path: str) -> Outcome:
    """Return the outcome of a file that takes the process down that parses it."""
    step = "change its imports by hand, or leave it out with --exclude"
    return Outcome(path, "failed", reason="Python's parser crashes on it", next_step=step)
