"""Several rules on one file: each does its part, and a fault of one concerns that rule alone."""

from __future__ import annotations

import re
import sys
from typing import ClassVar

import pytest

from capa_codemods.file_rewrite import FileRewrite, RuleResult
from capa_codemods.findings import Edit, Outcome, Setting
from capa_codemods.libcst_commands import process
from capa_codemods.libcst_commands.rule import CommandRule
from capa_codemods.manifests.setup_file import SetupFile
from capa_codemods.pipeline.kinds import joined
from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.pipeline.run_rule import rule_fault
from capa_codemods.project import Project
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import Rule
from capa_codemods.rules.imports import Imports
from capa_codemods.write.splice import splice


class _Replacing(Rule[PythonFile]):
    """Put one text in place of another."""

    reads = PythonFile
    summary = "for a test"
    old: ClassVar[bytes]
    new: ClassVar[bytes]

    def check(self, file, project):
        yield from (
            Edit(found.start(), found.end(), self.new, self.id) for found in re.finditer(self.old, file.data)
        )


def _rule(name: str, old: bytes, new: bytes, *, shape: bool = True, words: tuple[str, ...] = ("",)) -> Rule:
    members = {"id": name, "old": old, "new": new, "changes_shape": shape, "words": words}
    rule = type(name, (_Replacing,), members)()
    rule.package = "acme 1.0"
    return rule


@pytest.fixture
def examined(names, tmp_path):
    def run(text: str, *rules: Rule) -> tuple[str, Outcome]:
        rewrite = Rewrite(Project(str(tmp_path), names, []), rules)
        outcome = rewrite.examine_data("module.py", text.encode())
        return splice(text.encode(), outcome.edits).decode(), outcome

    return run


def test_rules_on_different_places_all_do_their_part(examined):
    one, other = _rule("one", rb"f\(\)", b"f(1)"), _rule("other", rb"g\(\)", b"g(2)")
    text, outcome = examined("import requests; f()\ng(f())\ng()\n", Imports(), one, other)

    assert "import capa_requests as requests; f(1)\ng(f(1))\ng(2)\n" == text
    assert () == outcome.findings


def test_of_two_rules_on_one_place_the_first_edits_first(examined):
    one, other = _rule("one", rb"f\(\)", b"f(1)"), _rule("other", rb"\bf\b(?=\(\))", b"h")
    text, outcome = examined("f()\n", one, other)

    assert "f(1)\n" == text
    assert ["warning"] == [finding.level for finding in outcome.findings]
    assert "`other` and `one` change the same place, and `one` goes first" == outcome.findings[0].message


def test_edits_of_two_kinds_in_one_file_are_proven_on_top_of_each_other(names):
    class Refusing(SetupFile):
        def flaw(self, new, names):
            return f"{self.data!r} must not become {new!r}"

    def rewrite(kind, edit):
        return FileRewrite.of(kind("setup.py", b"a+b"), [RuleResult(_rule(edit.rule, b"", b""), (edit,))])

    one = rewrite(SetupFile, Edit(0, 1, b"one", "one"))
    other = rewrite(Refusing, Edit(2, 3, b"other", "other"))
    outcome = joined([one, other], names).outcome()

    assert ("failed", ()) == (outcome.status, outcome.edits)
    assert outcome.reason.endswith("b'one+b' must not become b'one+other'")


def test_edits_that_are_right_together_only_are_refused_one_by_one(examined):
    one = _rule("one", rb"\((?=\n1)", b"", shape=False)
    other = _rule("other", rb"(?<=\()\n|\n\)", b"", shape=False)
    text, outcome = examined("x = (\n1\n)\n", one, other)

    assert "x = (\n1\n)\n" == text
    assert [("one", "error"), ("other", "error")] == [(one.rule, one.level) for one in outcome.findings]


def test_edits_that_are_right_alone_and_wrong_together_are_all_refused(examined):
    one, other = _rule("one", rb"old", b"new"), _rule("other", rb"\bb\b", b"new")
    text, outcome = examined("f(old=1, b=2)\n", one, other)

    assert "f(old=1, b=2)\n" == text
    assert ["one", "other"] == [finding.rule for finding in outcome.findings]
    assert (
        "with those of others: Python refuses the result: keyword argument repeated: new"
        in outcome.findings[0].message
    )


def test_place_that_an_import_edit_changes_waits_for_the_next_run(examined):
    one = _rule("one", rb"import capa_requests as requests\n", b"import capa_requests as requests, os\n")
    text, outcome = examined("import requests\n", Imports(), one)

    assert "import capa_requests as requests\n" == text
    assert (
        "`one` and `imports` change the same place, and `imports` goes first" == outcome.findings[0].message
    )


def test_rule_for_names_that_changes_more_than_names_is_refused(examined):
    one = _rule("one", rb"f\(\)", b"f(1)", shape=False)
    text, outcome = examined("import requests\nf()\n", one, Imports())

    assert "import capa_requests as requests\nf()\n" == text
    assert ["error"] == [finding.level for finding in outcome.findings]
    assert "could not be proven: the syntax tree differs: [] became ['1'];" in outcome.findings[0].message


def test_rule_for_names_that_would_go_on_and_on_is_refused(examined):
    one = _rule("one", rb"\brequests\b(?=\n)", b"capa_requests as requests", shape=False)
    two = _rule("two", rb"(?<=import )celery\b", b"capa_celery as celery", shape=False)
    text, outcome = examined("import requests\nimport celery;\n", one, two)

    assert "import requests\nimport capa_celery as celery;\n" == text
    assert ["one"] == [finding.rule for finding in outcome.findings]
    assert "a second run would change the result again" in outcome.findings[0].message


def test_refused_rule_leaves_the_others_for_shapes(examined):
    one, other = _rule("one", rb"f\(\)", b"f("), _rule("other", rb"g\(\)", b"g(2)")
    text, outcome = examined("f()\ng()\n", one, other)

    assert "f()\ng(2)\n" == text
    assert ["one"] == [finding.rule for finding in outcome.findings]


def test_file_without_the_words_of_a_rule_is_not_given_to_it(examined):
    one = _rule("one", rb"f\(\)", b"f(1)", words=("acme",))

    assert "f()\n" == examined("f()\n", one)[0]
    assert "f(1)  # acme\n" == examined("f()  # acme\n", one)[0]


def test_comment_keeps_a_line_from_a_rule(examined):
    one = _rule("one", rb"f\(\)", b"f(1)")

    assert "f()  # capa: ignore[one]\nf(1)\n" == examined("f()  # capa: ignore[one]\nf()\n", one)[0]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this interpreter knows the syntax itself")
def test_file_that_is_newer_than_the_interpreter_is_noted(examined):
    text, outcome = examined(
        "import requests\ntype X = int\nf()\n", Imports(), _rule("one", rb"f\(\)", b"f(1)")
    )

    assert "import capa_requests as requests\ntype X = int\nf()\n" == text
    assert ["note"] == [finding.level for finding in outcome.findings]


def test_settings_of_a_rule_for_a_file_that_stays_are_kept(examined):
    class Asking(_Replacing):
        id, words = "asking", ("",)

        def check(self, file, project):
            yield Setting("asking", 1, ("state", "x"))
            yield Setting("asking", 2, ("state", "y"))

    _, outcome = examined("f()\ng()  # capa: ignore\n", Asking())

    assert ("clean", (Setting("asking", 1, ("state", "x")),)) == (outcome.status, outcome.settings)


NOOP = "libcst.codemod.commands.noop:NOOPCommand"


def test_file_that_libcst_does_not_give_back_is_left_to_the_user(examined):
    text, outcome = examined("x = 1\n\x0cy = 2\n", CommandRule("noop", "acme 1.0", NOOP))

    assert "x = 1\n\x0cy = 2\n" == text
    assert ["LibCST does not return the file byte for byte"] == [one.message for one in outcome.findings]


def test_command_that_is_none_is_named(examined):
    _, outcome = examined("x = 1\n", CommandRule("none", "acme 1.0", "json:JSONDecoder"))

    assert (
        "json:JSONDecoder is not a subclass of libcst.codemod.CodemodCommand" in outcome.findings[0].message
    )


def test_next_question_has_an_answer_when_the_process_has_died(examined):
    rule = CommandRule("noop", "acme 1.0", NOOP)
    examined("x = 1\n", rule)
    process._running[1].kill()
    first, second = examined("x = 1\n", rule)[1], examined("x = 1\n", rule)[1]

    assert () == second.findings
    assert first.findings in {
        (),
        (rule_fault(rule, "failed: its process ended (SIGKILL)"),),
    }
