"""Examine files with a choice of rules. Nothing is written here."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from stat import S_ISLNK
from typing import Any, NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.file_rewrite import FileRewrite, RuleResult
from capa_codemods.findings import Outcome
from capa_codemods.manifests.requirements_file import RequirementsFile
from capa_codemods.pipeline.kinds import joined
from capa_codemods.pipeline.names import proven_names
from capa_codemods.pipeline.run_rule import run_rule
from capa_codemods.project import Project
from capa_codemods.read.document import Document
from capa_codemods.read.files import read_file, read_file_with_stat
from capa_codemods.read.python_file import PythonFile
from capa_codemods.read.scripts import is_script
from capa_codemods.rule import OURS, Rule
from capa_codemods.sdks.names import Names
from capa_codemods.sdks.sieve import Sieve
from capa_codemods.sdks.word_search import Holds, search_for


class _Readers(NamedTuple):
    """The rules that read one kind of document: for files that name an SDK, and for files with words of their own."""

    plain: list[Rule[Any]]
    worded: list[tuple[Rule[Any], Holds]]


class _Ending(NamedTuple):
    """The kinds that files may be read as whose names have one ending.

    Attributes:
        possible: In the order of the rules.
        longer: Longer endings, such as `setup.py`, of a file that is of other kinds than most.
        usual: The kinds that each other file is of; None if that depends on more than the ending.
        words: Where each of those needs the name of an SDK: whether a file holds a word that is as good for a rule.
    """

    possible: list[type[Document]]
    longer: tuple[str, ...]
    usual: list[type[Document]] | None
    words: Holds | None


class Rewrite:
    """A choice of rules over one tree.

    Attributes:
        passed_over: File → the reason why `glance`, of this run or an earlier one, has not looked further: `link`,
            `special` for a pipe, a socket or a device, or `copy` for a file of a package called like an SDK.
    """

    def __init__(self, project: Project, rules: Iterable[Rule[Any]], scripts: Collection[str] = ()) -> None:
        """Apply *rules* to the files of *project*; *scripts* are those in Python whose names do not say so."""
        self.project = project
        self._scripts = scripts
        self._rules = tuple(rules)
        self._readers: dict[type[Document], _Readers] = {}
        for rule in self._rules:
            readers = self._readers.setdefault(rule.reads, _Readers([], []))
            if rule.words:
                readers.worded.append((rule, search_for(word.encode() for word in rule.words)))
            else:
                readers.plain.append(rule)
        self._endings: dict[str, _Ending] = {}
        self.passed_over: dict[str, str] = {}
        self._kinds_of_scripts = [kind for kind in self._readers if kind.reads_scripts]
        self._sieves: dict[frozenset[str], Sieve] = {}

    def without(self, rules: Collection[str]) -> Rewrite:
        """Return the same rewrite less *rules*."""
        kept = [rule for rule in self._rules if rule.id not in rules]
        return Rewrite(self.project, kept, self._scripts)

    def with_names(self, names: Names) -> Rewrite:
        """Return the same rewrite under other *names*."""
        return Rewrite(self.project.with_names(names), self._rules, self._scripts)

    def concerns(self, path: str) -> bool:
        """Return whether a rule reads the file at *path*, by its name or as one of the scripts."""
        return bool(self._kinds(path)) or (path in self._scripts and bool(self._kinds_of_scripts))

    def glance(
        self, path: str, watch: Callable[[str, bytes], None] | None = None
    ) -> tuple[os.stat_result | None, bool]:
        """Return the status of the file at *path* before it was read, and whether it may concern a rule.

        None and False if it is not there; None and True if it is out of reach, which `examine` reports. *watch* is
        given the path and the bytes.
        """
        place = f"{self.project.root}/{path}"
        self.passed_over.pop(path, None)
        try:
            found = read_file_with_stat(place)
            if found is not None:
                if watch is not None:
                    watch(path, found[0])
                return found[1], bool(self._wanted(path, found[0]))
        except OSError:
            may_concern = True  # `examine` reports why it cannot be read
        else:
            may_concern = False  # a link, a pipe
        try:
            status = os.lstat(place)
        except OSError:
            return None, may_concern
        if not may_concern:
            self.passed_over[path] = "link" if S_ISLNK(status.st_mode) else "special"
        return status, may_concern

    def examine(self, path: str) -> Outcome:
        """Read the file at *path*, relative to the root, and return its outcome."""
        try:
            data = read_file(f"{self.project.root}/{path}")
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            return Outcome(
                path, "failed", reason=reason, next_step="allow reading it, or leave it out with --exclude"
            )
        if data is None:  # a link, a pipe, or deleted meanwhile: not a file of this tree
            return Outcome(path, "clean")
        return self.examine_data(path, data)

    def remark(self, path: str) -> Outcome | None:
        """Return the outcome from `examine`, or None if there is nothing to report about the file."""
        outcome = self.examine(path)
        return outcome if outcome.status != "clean" or outcome.findings or outcome.settings else None

    def examine_data(self, path: str, data: bytes) -> Outcome:
        """Return the outcome for a file at *path* that holds *data*."""
        wanted = self._wanted(path, data)
        rewrites: list[FileRewrite] = []
        unreadable: list[UnreadableError] = []
        for kind, rules in wanted:
            try:
                rewrites.append(self._rewritten(kind, path, data, rules))
            except UnreadableError as error:
                unreadable.append(error)
        outcome = joined(rewrites, self.project.names).outcome() if rewrites else Outcome(path, "clean")
        if unreadable:
            outcome = _failed(outcome, unreadable[0])
        return _with_unknown_rules(outcome, data, wanted) if wanted and b"capa:" in data else outcome

    def _wanted(self, path: str, data: bytes) -> list[tuple[type[Document], list[Rule[Any]]]]:
        """Return the kinds that the file can be read as, each with the rules that may yield something."""
        ending = self._ending(path)
        # Remembered, also for other files: now the bytes are at hand.
        passes_on = path.endswith(".py") and self.project.shared_names.passes_on(path, data)
        holds = None if path.endswith(ending.longer) else ending.words
        sieve = self.project.names.sieve
        if holds is not None and not (
            sieve.names(data) or holds(data) or (passes_on and sieve.spells_in_parts(data))
        ):
            return []
        found = []
        kinds = self._kinds(path)
        if is_script(data):
            kinds = list(dict.fromkeys([*kinds, *self._kinds_of_scripts]))
        for kind in kinds:
            readers = self._readers[kind]
            rules = [rule for rule, holds_word in readers.worded if holds_word(data)]
            if readers.plain and kind.may_concern(data, self.project.names):
                rules = rules if self._names_itself_alone(kind, path, data) else readers.plain + rules
            if rules:
                found.append((kind, rules))
        return found

    def _names_itself_alone(self, kind: type[Document], path: str, data: bytes) -> bool:
        """Return whether the file belongs to a copy of an SDK, such as a vendored one, and names no other SDK."""
        copies = self.project.copies_around(path) if kind is PythonFile else frozenset()
        if not copies:
            return False
        if copies not in self._sieves:
            self._sieves[copies] = Sieve(self.project.names.roots.keys() - copies)
        if self._sieves[copies].imports_or_quotes(data):
            return False
        self.passed_over[path] = "copy"
        return True

    def _kinds(self, path: str) -> list[type[Document]]:
        """Return the kinds that the file can be read as."""
        ending = self._ending(path)
        if ending.usual is not None and not path.endswith(ending.longer):
            return ending.usual
        return [kind for kind in ending.possible if path.endswith(kind.suffixes) and self._claims(kind, path)]

    def _ending(self, path: str) -> _Ending:
        # Called for every file of a tree.
        dot = path.rfind(".")
        text = path[dot:] if dot > path.rfind("/") else ""
        return self._endings.get(text) or self._endings.setdefault(text, self._ending_of(text))

    def _ending_of(self, text: str) -> _Ending:
        """Return the kinds of files whose names end with *text*, from the last dot on; it is empty without a dot."""
        longer = [
            suffix
            for kind in self._readers
            for suffix in kind.suffixes
            if suffix.endswith(text) and suffix != text
        ]
        usual = [kind for kind in self._readers if text.endswith(kind.suffixes)]
        possible = [kind for kind in self._readers if kind in usual or set(longer) & set(kind.suffixes)]
        readable = [*usual, *self._kinds_of_scripts]
        words = [
            word.encode()
            for kind in readable
            for rule, _ in self._readers[kind].worded
            for word in rule.words
            if word not in self.project.names.roots
        ]
        return _Ending(
            possible,
            tuple(longer),
            usual if text and all(one.names_sdk for one in usual) else None,
            search_for(words) if usual and all(one.names_sdk for one in readable) else None,
        )

    def _claims(self, kind: type[Document], path: str) -> bool:
        # A requirements file of any name is known by the file that includes it.
        return kind.claims(path) or (kind is RequirementsFile and self.project.inclusions.has(path))

    def _rewritten(
        self, kind: type[Document], path: str, data: bytes, rules: Sequence[Rule[Any]]
    ) -> FileRewrite:
        """Return the rewrite of the file, read as *kind*, by *rules*, with its proof.

        Raises:
            UnreadableError: The file is not a document of this kind.
        """
        if kind is PythonFile and (found := self._unchanged_in_part(path, data, rules)):
            return found
        file = self.project.python_file(path, data) if kind is PythonFile else kind(path, data)
        results = self._run([rule for rule in rules if not rule.changes_shape], file)
        rewrite = proven_names(FileRewrite.of(file, results), self.project)
        shaping = [rule for rule in rules if rule.changes_shape]
        if shaping and rewrite.flaw is None:
            from capa_codemods.pipeline.shapes import with_shapes

            rewrite = with_shapes(rewrite, shaping, self.project)
        return rewrite

    def _unchanged_in_part(self, path: str, data: bytes, rules: Sequence[Rule[Any]]) -> FileRewrite | None:
        """Return the results of *rules* for a part of the Python file, where they are those for the whole: no edits."""
        if self.project.has_parsed(path, data):
            return None  # a part has no advantage
        if any(rule.changes_shape or rule.package != OURS for rule in rules):
            return None
        part = PythonFile.in_part(path, data, self.project.names)
        if part is None:
            return None
        results = self._run(rules, part)
        # A warning may depend on all of the file; whether there are edits does not.
        if any(result.edits or (result.warns and not result.rule.is_local) for result in results):
            return None
        return FileRewrite.of(part, results)

    def _run(self, rules: Iterable[Rule[Any]], file: Document) -> list[RuleResult]:
        return [run_rule(rule, file, self.project) for rule in rules]


def _failed(outcome: Outcome, error: UnreadableError) -> Outcome:
    """Return *outcome* of a file that cannot be read as one of its kinds, and therefore is left as it is."""
    return Outcome(
        outcome.path,
        "failed",
        findings=outcome.findings,
        reason=str(error),
        line=error.line,
        next_step=error.next_step,
        settings=outcome.settings,
    )


def _with_unknown_rules(
    outcome: Outcome, data: bytes, wanted: Sequence[tuple[type[Document], list[Rule[Any]]]]
) -> Outcome:
    from capa_codemods.pipeline.ignore_comments import unknown_rules

    kind = next((kind for kind, _ in wanted if kind.is_python), wanted[0][0])
    return outcome._replace(findings=(*outcome.findings, *unknown_rules(kind, outcome.path, data)))


def crashed_outcome(path: str) -> Outcome:
    """Return the outcome of a file that takes the process down that parses it."""
    step = "change its imports by hand, or leave it out with --exclude"
    return Outcome(path, "failed", reason="Python's parser crashes on it", next_step=step)
