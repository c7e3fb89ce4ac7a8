# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Requirements files that include others: the others are manifests too, and pins count over all of them."""

from __future__ import annotations

import pytest

from capa_codemods.inclusions import Inclusions

NEED = "excludes capa-core[requests], which needs urllib3>=1.26"


@pytest.mark.parametrize(
    "line",
    ["-r deps/prod.txt", "-rdeps/prod.txt", "--requirement deps/prod.txt", "--requirement=deps/prod.txt", "  -r  'deps/prod.txt'  # all"],
)  # fmt: skip
def test_included_file_gets_the_line(rewritten, line):
    result = rewritten("requests>=2.32.3\n", "deps/prod.txt", {"requirements.txt": f"{line}\n"})

    assert b"requests>=2.32.3\ncapa-core[requests]\n" == result.text


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("other/requirements.txt", "-r deps/prod.txt\n"),
        ("requirements.txt", "-c deps/prod.txt\n"),
        ("requirements.txt", "# -r deps/prod.txt\n"),
        ("README.txt", "-r deps/prod.txt\n"),
    ],
)
def test_file_that_nothing_includes_is_no_manifest(rewritten, manifest, text):
    assert b"requests\n" == rewritten("requests\n", "deps/prod.txt", {manifest: text}).text


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("tox.ini", "[testenv]\ndeps =\n  -r{toxinidir}/a/b.txt\n"),
        ("environment.yml", "dependencies:\n- pip:\n  - -r a/b.txt\n"),
        ("setup.cfg", "[options]\ninstall_requires = file: x.txt, a/b.txt\n"),
        ("setup.cfg", "[options]\ntests_require =\n  file:\n  a/b.txt\n"),
        ("pyproject.toml", "[tool.setuptools.dynamic]\ndependencies = {file = ['x.txt', 'a/b.txt']}\n"),
        ("pyproject.toml", "[tool.setuptools.dynamic.optional-dependencies]\ndev = { file = 'a/b.txt' }\n"),
    ],
)
def test_other_manifests_include_too(rewritten, manifest, text):
    assert b"requests\ncapa-core[requests]\n" == rewritten("requests\n", "a/b.txt", {manifest: text}).text


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("setup.cfg", "[metadata]\nlong_description = file: a/b.txt\n"),
        ("pyproject.toml", "[project]\nlicense = {file = 'a/b.txt'}\nreadme = {file = 'a/b.txt'}\n"),
    ],
)
def test_texts_for_people_are_not_included(rewritten, manifest, text):
    assert b"requests\n" == rewritten("requests\n", "a/b.txt", {manifest: text}).text


def test_pin_of_a_tox_environment_does_not_keep_what_another_includes(rewritten):
    files = {"tox.ini": "[testenv]\ndeps = -r requirements.txt\n[testenv:old]\ndeps = requests==2.20\n"}

    assert b"requests\ncapa-core[requests]\n" == rewritten("requests\n", "requirements.txt", files).text


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("requirements.txt", "-r base.txt\nrequests\n"),
        ("environment.yml", "dependencies:\n- requests\n- pip:\n  - -r base.txt\n"),
    ],
)
def test_sdk_that_an_included_file_requires_too_needs_no_second_line(rewritten, path, source):
    result = rewritten(source, path, {"base.txt": "requests\n"})

    assert ([], source.encode()) == (result.messages, result.text)


def test_inclusions_in_a_circle_end():
    texts = {"a.txt": "-r b.txt", "b.txt": "-r a.txt\n-c c.txt"}

    found = Inclusions(["a.txt"], lambda path: texts.get(path, ""), {"a.txt", "b.txt", "c.txt"})

    assert {"a.txt", "b.txt"} == found.together("b.txt")
    assert [{"b.txt", "c.txt"}] == list(found.beside("a.txt"))
    assert ({"a.txt", "b.txt"}, {"c.txt": "b.txt"}) == (found.required, found.limiting)


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"constraints.txt": "flask\nurllib3==1.20\n", "requirements.txt": "-c constraints.txt\nrequests\n"}, "constraints.txt, line 2,"),
        ({"limits.txt": "urllib3==1.20\n", "requirements.txt": "requests\n-c limits.txt\n"}, "limits.txt, line 1,"),
        ({"base.txt": "urllib3==1.20\n", "requirements.txt": "requests\n-r base.txt\n"}, "base.txt, line 1,"),
        ({"dev-requirements.txt": "-r requirements.txt\n\nurllib3==1.20\n", "requirements.txt": "requests\n"}, "dev-requirements.txt, line 3,"),
        ({"limits.txt": "urllib3==1.20\n", "all.requirements.txt": "-r requirements.txt\n-c limits.txt\n", "requirements.txt": "requests\n"}, "limits.txt, line 1,"),
    ],
)  # fmt: skip
def test_pin_in_a_file_that_is_installed_with_it_keeps_the_manifest(rewritten, files, place):
    source = files.pop("requirements.txt")
    result = rewritten(source, "requirements.txt", files)

    assert source.encode() == result.text
    (finding,) = result.outcome.findings
    assert ("error", f"`urllib3==1.20` in {place} {NEED}") == (finding.level, finding.message)
    assert b"requests" == source.encode().splitlines()[finding.line - 1]


def test_pin_beside_an_included_sdk_is_named_at_its_line(rewritten):
    source = "-r base.txt\ncelery\nurllib3==1.20\n"
    result = rewritten(source, "requirements.txt", {"base.txt": "requests\n"})

    assert source.encode() == result.text
    assert [(3, f"`urllib3==1.20` {NEED}")] == [(one.line, one.message) for one in result.outcome.findings]


@pytest.mark.parametrize(
    "files",
    [
        {"other-requirements.txt": "urllib3==1.20\n"},
        {"limits.txt": "urllib3==1.26.19\n", "other-requirements.txt": "-r requirements.txt\n-c limits.txt\n"},
        {"limits.txt": "flask==2\n", "b-requirements.txt": "urllib3==1.20\n-c limits.txt\n", "a-requirements.txt": "-r requirements.txt\n-c limits.txt\n"},
    ],
)  # fmt: skip
def test_pin_that_is_never_installed_with_it_does_not_matter(rewritten, files):
    result = rewritten("requests\n", "requirements.txt", files)

    assert b"requests\ncapa-core[requests]\n" == result.text
    assert [] == result.messages


def test_constraints_require_nothing(rewritten):
    result = rewritten("requests\n-c limits.txt\n", "requirements.txt", {"limits.txt": "requests==2.32.3\n"})

    assert b"requests\ncapa-core[requests]\n-c limits.txt\n" == result.text


def test_file_that_another_takes_as_constraints_stays(rewritten):
    result = rewritten(
        "requests\n", "requirements.txt", {"dev-requirements.in": "-c requirements.txt\npytest\n"}
    )

    (finding,) = result.outcome.findings
    assert b"requests\n" == result.text
    assert (
        "requires requests without capa-core[requests]: dev-requirements.in includes it with `-c`, and pip refuses extras in constraints",
        "add it to another file, which includes this one with `-r`",
    ) == (finding.message, finding.next_step)
