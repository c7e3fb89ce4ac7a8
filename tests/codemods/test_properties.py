"""Properties of every text: hostile, random, or from the libraries that are installed."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rewrite_safety.libraries import installed_files

from capa_codemods.findings import Edit
from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules import all_rules
from capa_codemods.write.merge import without_edits
from capa_codemods.write.splice import inverse_edits, ordered_edits, splice
from capa_codemods.write.unified_diff import unified_diff


@pytest.mark.timeout(300)
def test_library_files_without_an_sdk_come_back_byte_for_byte(names):
    rewrite = Rewrite(Project("/no/such/tree", names, []), all_rules())
    files = installed_files()
    for file in files[:: max(1, len(files) // 500)]:
        data = file.read_bytes()
        if not names.sieve.imports_or_quotes(data):
            assert () == rewrite.examine_data("module.py", data).edits, file


@st.composite
def _spliced(draw):
    data = draw(st.binary(max_size=60))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8, unique=True)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return data, ordered_edits(Edit(start, end, draw(st.binary(max_size=9)), "r") for start, end in pairs)


@given(_spliced())
def test_splice_and_back_is_identity(case):
    data, edits = case
    new = splice(data, edits)

    assert data == splice(new, inverse_edits(data, edits))
    assert data == without_edits(new, new, data, edits)


TEXTS = st.lists(
    st.sampled_from(
        ["import requests", "from requests import get", "x = 1", "'''", "\\", "\r", "\r\n", "\x0c", "(", ")", "#", "é",
         "\t", "  ", ";", "if x:", "patch('requests.get')", "import requests.exceptions as e", "\n", "\n", "\n", "\x00",
         "# coding: latin-1", "from . import requests", "async def f():", "    ", "pass", "print 'x'", "\ufeff", "from"]
    )
)  # fmt: skip


@settings(max_examples=400)
@given(TEXTS.map("".join))
@example("# coding: latin-9000\nimport requests\n")
@example("import requests\\\n\n")
def test_no_text_is_too_odd(rewriting, text):
    data = text.encode()
    outcome = rewriting.examine_data("a.py", data)
    new = splice(data, outcome.edits)

    assert outcome.status in {"clean", "changed", "failed"}
    assert (outcome.status == "failed") is bool(outcome.reason)
    assert not outcome.reason.startswith("the rewrite could not be proven"), outcome.reason
    assert (new == data) is (outcome.status != "changed")
    assert () == rewriting.examine_data("a.py", new).edits


@given(st.binary(max_size=80).map(lambda junk: b"import requests\n" + junk))
def test_no_bytes_are_too_odd(rewriting, data):
    outcome = rewriting.examine_data("a.py", data)

    assert outcome.status in {"changed", "failed"}


@pytest.fixture(scope="module")
def rewriting(names):
    return Rewrite(Project("/no/such/tree", names, []), all_rules())


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 10_000 + ")" * 10_000,
        "x = " + "-" * 100_000 + "1",
        "x = " + "+".join(["1"] * 20_000),
        "x = 1" + ".a" * 50_000,
        "x = [" * 90 + "]" * 90,
        "if x:\n " * 101 + "pass",
        "x = '" + "y" * 3_000_000 + "'",
        "# coding: no-such-codec",
        "# coding: utf-16",
        "x = '\udcff'",
        "\x00",
        "def f(:",
        "print 'python 2'",
        "exec 'x' in {}",
        "raise E, 'x'",
        "`x`",
        "0777",
        "x <> y",
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_hostile_file_is_a_finding_or_is_rewritten(rewriting, text):
    outcome = rewriting.examine_data("a.py", f"import requests\n{text}\n".encode(errors="surrogateescape"))

    assert outcome.status in {"changed", "failed"}
    assert outcome.status == "changed" or (outcome.reason and outcome.next_step)


def test_file_of_50_mb_is_a_finding(rewriting):
    outcome = rewriting.examine_data("a.py", b"import requests\nx = '" + b"y" * 50_000_000 + b"'\n")

    assert ("failed", "the file has 47 MB, which is more than is parsed") == (outcome.status, outcome.reason)


@given(_spliced())
def test_diff_of_nothing_is_nothing_and_of_something_names_the_file(case):
    data, edits = case
    diff = unified_diff("a.py", data, edits)

    assert diff.startswith(b"--- a/a.py\n+++ b/a.py\n")
    assert bool(edits) is (b"@@ -" in diff)
