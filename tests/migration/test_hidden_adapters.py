"""A module of the tree with the name of an adapter hides it: the imports of that SDK stay, and each command says so."""

import json

import pytest

CODE = "import requests\n"
NEXT = "rename {0}, or --exclude it if it is never on the path, and run again: until then `requests` stays"


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "app.py").write_text(CODE)
    (tmp_path / "requirements.txt").write_text("requests\n")
    return tmp_path


def _write(tree, module):
    (tree / module).parent.mkdir(parents=True, exist_ok=True)
    (tree / module).write_text("def get(url):\n    return 'stub'\n")


@pytest.mark.parametrize("folder", ["", "src/", "lib/"])
@pytest.mark.parametrize("ending", [".py", "/__init__.py"])
def test_nothing_moves_to_a_module_of_the_user_s_own(capa, tree, folder, ending):
    _write(tree, f"{folder}capa_requests{ending}")
    applied = capa("migrate", "apply", tree)
    named = f"{folder}capa_requests{ending}".removesuffix("/__init__.py")

    assert (2, CODE, "requests\n") == (
        applied.code,
        (tree / "app.py").read_text(),
        (tree / "requirements.txt").read_text(),
    )
    assert f"app.py:1: error: `capa_requests` is your own module {named} here" in applied.out
    assert NEXT.format(named) in applied.out


def test_scan_says_what_check_does(capa, tree):
    _write(tree, "capa_requests.py")
    checked = json.loads(capa("migrate", "check", tree, "--json").out)
    scans = [json.loads(capa("scan", tree, "--json").out) for _ in range(2)]  # the second is from the cache
    errors = [
        (one["path"], one["line"], one["message"]) for one in checked["findings"] if one["level"] == "error"
    ]

    assert (2, 1) == (checked["exit"], len(errors))
    assert [errors] * 2 == [
        [(one["path"], one["line"], one["reason"]) for one in scan["excluding"]] for scan in scans
    ]
    assert NEXT.format("capa_requests.py") in capa("scan", tree).out


def test_other_sdks_move(capa, tree):
    _write(tree, "capa_requests.py")
    (tree / "tasks.py").write_text("import celery\n")
    capa("migrate", "apply", tree)

    assert "import capa_celery as celery\n" == (tree / "tasks.py").read_text()


def test_the_module_itself_is_the_user_s_and_not_capa_s(capa, tree):
    (tree / "capa_requests.py").write_text(CODE)
    checked = capa("migrate", "check", tree)

    assert "capa_requests.py:1: error: " in checked.out


@pytest.mark.parametrize(
    "files",
    [
        ["capa_requests/__init__.py", "capa_requests/import_map.toml"],
        ["shop/__init__.py", "shop/capa_requests.py"],
        ["shop/__init__.py", "shop/capa_requests/__init__.py"],
    ],
    ids=["a copy of the adapter", "a module below a package", "a package below a package"],
)
def test_another_of_that_name_hides_nothing(capa, tree, files):
    for name in files:
        _write(tree, name)
    capa("migrate", "apply", tree)

    assert "import capa_requests as requests\n" == (tree / "app.py").read_text()


def test_one_that_is_left_out_hides_nothing(capa, tree):
    _write(tree, "lib/capa_requests.py")

    assert 1 == capa("migrate", "check", tree, "--exclude", "lib").code


def test_one_that_is_renamed_hides_nothing_any_more(capa, tree):
    _write(tree, "capa_requests.py")
    codes = [capa("migrate", "check", tree).code for _ in range(2)]
    (tree / "capa_requests.py").rename(tree / "stub.py")

    assert ([2, 2], 1) == (codes, capa("migrate", "check", tree).code)
