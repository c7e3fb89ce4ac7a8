# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Strings that patch, wrap or import a module from out of the way: none stays without a warning."""

from __future__ import annotations

import pytest

from capa_codemods.findings import Finding

CONSTANT = 'TARGET = "requests.get"\n'
ENUM = 'class Target(enum.Enum):\n    GET = "requests.get"\n'
LOADER = "def load(): return import_module(NAME)\n"


def _warnings(result) -> list[Finding]:
    return [one for one in result.outcome.findings if one.level == "warning"]


@pytest.mark.parametrize(
    ("source", "files"),
    [
        (CONSTANT, {"shop/__init__.py": "from .names import TARGET\n", "tests/test_a.py": "from shop import TARGET\npatch(TARGET)\n"}),
        (CONSTANT, {"shop/__init__.py": "from shop.names import (\n    A,\n    TARGET as GET,\n)\n", "tests/test_a.py": "import shop\npatch(shop.GET)\n"}),
        (CONSTANT, {"shop/__init__.py": "from .names import *\n", "tests/test_a.py": "from shop import TARGET\npatch(TARGET)\n"}),
        (CONSTANT, {"tests/test_a.py": "from shop.names import *\npatch(TARGET)\n"}),
        (ENUM, {"tests/test_a.py": "from shop.names import Target\npatch(Target.GET.value)\n"}),
        (ENUM, {"tests/test_a.py": "from shop.names import Target\nfor one in Target: patch(one.value)\n"}),
        ('@dataclass\nclass Case:\n    target: str = "requests.get"\n', {"tests/test_a.py": "from shop.names import Case\npatch(Case().target)\n"}),
        ('class Base:\n    target = "requests.get"\n', {"tests/test_a.py": "from shop.names import Base\nclass T(Base):\n    def test(self): patch(self.target)\n"}),
        ('NAME = "requests"\n', {"shop/load.py": f"from .names import NAME\n{LOADER}"}),
        ('NAME = "requests"\n', {"shop/__init__.py": "from .names import NAME\n", "app/load.py": f"from shop import NAME\n{LOADER}"}),
        ('class Names(Enum):\n    SDK = "requests"\n', {"shop/load.py": "from .names import Names\nimport_module(Names.SDK.value)\n"}),
        ('from .base import Base\nclass Http(Base):\n    module = "requests"\n', {"shop/base.py": "class Base:\n    def load(self): return import_module(self.module)\n"}),
    ],
)  # fmt: skip
def test_a_constant_that_other_files_patch_or_import_is_warned_of(rewritten, source, files):
    result = rewritten(source, "shop/names.py", files)
    (warning,) = _warnings(result)

    assert source == result.text.decode()
    assert warning.blocks
    assert " passes it to `" in warning.message


@pytest.mark.parametrize(
    "files",
    [
        {"shop/__init__.py": "from .names import TARGET\n", "tests/test_a.py": "from shop import OTHER\npatch(OTHER)\n"},
        {"shop/__init__.py": "from .other import TARGET\n", "tests/test_a.py": "from shop import TARGET\npatch(TARGET)\n"},
        {"shop/load.py": "from .names import TARGET\npatch(TARGET)\nimport_module(x)\n"},
    ],
)  # fmt: skip
def test_a_constant_that_others_do_not_patch_or_import_is_not_warned_of(rewritten, files):
    assert [] == _warnings(rewritten(CONSTANT, "shop/names.py", files))


FIXTURE = "@pytest.fixture\ndef put(mocker):\n    def inner(m, n): return mocker.patch(f'{m}.{n}')\n    return inner\n"
METHOD = "class Base(TestCase):\n    def put(self, m, n): return patch(f'{m}.{n}').start()\n"


@pytest.mark.parametrize(
    ("source", "files"),
    [
        (f'{FIXTURE}def test(put): put("requests", "get")\n', {}),
        ('def test(put): put("requests", "get")\n', {"tests/conftest.py": FIXTURE}),
        ('def test(put): put("requests.sessions", "Session")\n', {"conftest.py": FIXTURE}),
        (
            'from .base import Base\nclass T(Base):\n    def test(self): self.put("requests", "get")\n',
            {"tests/base.py": METHOD},
        ),
    ],
)
def test_a_module_that_a_fixture_or_an_inherited_method_patches_is_warned_of(rewritten, source, files):
    result = rewritten(source, "tests/test_api.py", files)
    (warning,) = _warnings(result)

    assert source == result.text.decode()
    assert "may patch or import it" in warning.message
    assert warning.blocks


@pytest.mark.parametrize(
    ("source", "conftest"),
    [
        ('def test(put): put("requests", 1)\n', "@pytest.fixture\ndef put(db):\n    return db.put\n"),
        ('def test(put): put("requests", 1)\n', "def put(m): import_module(m)\n"),
        ('def test(client): client.put("requests", 1)\n', FIXTURE),
        ('def test(put): put("other", "requests left")\n', FIXTURE),
    ],
)
def test_a_word_that_no_fixture_patches_is_not_warned_of(rewritten, source, conftest):
    assert [] == _warnings(rewritten(source, "tests/test_api.py", {"tests/conftest.py": conftest}))


@pytest.mark.parametrize(
    "source",
    [
        'wrapt.wrap_function_wrapper("requests", "Session.get", f)',
        'wrap_function_wrapper(\n    "requests.sessions", "Session.send", f)',
        'wrap_function_wrapper(module="requests", name="Session.get", wrapper=f)',
        'wrapt.wrap_function_wrapper(target="requests", name="Session.get", wrapper=f)',
        'from wrapt import wrap_function_wrapper as _w\n_w("requests", "Session.get", f)',
        '@wrapt.patch_function_wrapper("requests", "Session.get")\ndef f(*a): ...',
        '@wrapt.when_imported("requests")\ndef f(m): ...',
        'wrapt.register_post_import_hook(f, "requests")',
        'wrapt.wrap_object("requests", "Session.get", Proxy)',
        'M = "requests"\nwrapt.wrap_object(M, "Session.get", Proxy)',
    ],
)
def test_a_module_that_gets_wrapped_is_warned_of(rewritten, source):
    for path in ("shop/api.py", "tests/test_api.py"):
        result = rewritten(f"{source}\n", path)
        (warning,) = _warnings(result)

        assert f"{source}\n" == result.text.decode()
        assert "the migrated code calls the adapter, not what is wrapped" in warning.message
        assert ("wrap capa_requests too, by hand", True) == (warning.next_step, warning.blocks)


@pytest.mark.parametrize(
    "source",
    [
        'from unittest.mock import patch as p\np("requests.get")',
        'from importlib import import_module as load\nload("requests")',
        'from importlib import (\n    import_module as load,\n)\nM = "requests"\nload(M)',
        'pytest_plugins = ["requests.sessions", "shop.x"]',
        'pytest_plugins = "requests.sessions"',
        'pkgutil.resolve_name("requests:get")',
        'mocker.patch.multiple(target="requests", get=fake)',
        'patch.object(import_module("requests"), "get")',
    ],
)
def test_a_call_under_another_name_and_a_list_that_gets_imported_move(rewritten, source):
    result = rewritten(f"{source}\n", "tests/test_api.py")

    assert source.replace('"requests', '"capa_requests') + "\n" == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('patch("re" "quests.get")', 1),
        ('patch(\n    "re"\n    "quests.get"\n)', 2),
        ('patch("req" + "uests.get")', 1),
        ('patch("".join(["req", "uests.get"]))', 1),
        ('patch("%s%s" % ("req", "uests.get"))', 1),
        ('P = "req"\npatch(P + "uests.get")', 1),
        ('P = "req"\npatch(f"{P}uests.get")', 1),
        ('TARGET = "re" "quests.get"\npatch(TARGET)', 1),
        ('patch("\\x72equests.get")', 1),
        ('monkeypatch.setattr("re" "quests.get", fake)', 1),
        ('import_module("cele" "ry")', 1),
    ],
)
def test_a_name_that_the_file_never_spells_as_a_whole_is_warned_of(rewritten, source, line):
    for path in ("tests/test_api.py", "shop/test.py" if "import" not in source else "shop/api.py"):
        result = rewritten(f"{source}\n", path)
        (warning,) = _warnings(result)

        assert f"{source}\n" == result.text.decode()
        assert (line, True) == (warning.line, warning.blocks)


@pytest.mark.parametrize(
    "source",
    [
        'patch("re" + "duce.get")',
        'patch("shop." "re", "quests.get")',
        'patch("shop\\x2eget")',
        'open(P, "re")\nprint("quests.get")\npatch(x)',
    ],
)
def test_parts_that_make_no_name_of_an_sdk_are_not_warned_of(rewritten, source):
    assert [] == rewritten(f"{source}\n", "tests/test_api.py").messages


@pytest.mark.parametrize(
    "source",
    [
        'def fake(name, *a):\n    if name == "requests": raise ImportError\nwith patch("builtins.__import__", fake): ...',
        'def fake(name, *a):\n    if name in ("requests", "x"): raise ImportError\nmp.setattr(builtins, "__import__", fake)',
        'BLOCKED = {"requests"}\ndef fake(name, *a):\n    if name in BLOCKED: raise ImportError\npatch("builtins.__import__", fake)',
        'class Finder:\n    def find_spec(self, name, path, target=None):\n        if name.startswith("requests."): raise ImportError',
        'for name in list(sys.modules):\n    if name.startswith("requests"): del sys.modules[name]',
    ],
)  # fmt: skip
def test_a_name_that_a_test_compares_with_imports_is_warned_of(rewritten, source):
    result = rewritten(f"{source}\n", "tests/test_api.py")
    (warning,) = _warnings(result)

    assert f"{source}\n" == result.text.decode()
    assert "a test may compare it with the name of what gets imported" in warning.message
    assert warning.blocks
    assert [] == _warnings(rewritten(f"{source}\n", "shop/api.py"))


@pytest.mark.parametrize(
    "source",
    ['lazy_import("requests")', 'requests = LazyLoader("requests", globals(), "requests")'],
)
def test_a_module_that_is_imported_when_it_is_first_used_is_warned_of(rewritten, source):
    assert {True} == {one.blocks for one in rewritten(f"{source}\n").outcome.findings}


@pytest.mark.parametrize(
    "source",
    [
        'logging.getLogger("celery.worker")',
        'caplog.set_level(10, logger="celery.worker")',
        'with self.assertLogs("celery.worker"): ...',
        'ignore_logger("celery.worker")',
    ],
)
def test_a_logger_keeps_its_name(rewritten, source):
    (finding,) = rewritten(f"{source}\n", "tests/test_api.py").outcome.findings

    assert ("note", "the logger `celery.worker` keeps its name") == (finding.level, finding.message)
