# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Strings on their way to `patch`: through names, tables, loops, parameters and fixtures."""

from __future__ import annotations

import pytest

PARAMETRIZE = "@pytest.mark.parametrize"
EXPAND = "@parameterized.expand"


@pytest.mark.parametrize(
    "source",
    [
        'T = "requests.get"\ndef t():\n    with patch(T): ...',
        'T: str = "requests.get"\n@patch(T)\ndef t(get): ...',
        'def t():\n    target = "requests.get"\n    mocker.patch(target)',
        'def t():\n    target = "requests.get"\n    def inner(): return patch(target)',
        'def t():\n    if patcher := patch(t := "requests.get"): ...',
        'A = B = "requests.get"\npatch(A)\npatch(B)',
        'T = "requests.get"\nU = T\npatch(U)',
        'T = "requests.get" if new else "x.y"\npatch(T)',
        'T = override or "requests.get"\npatch(T)',
        'M = "requests.exceptions"\nimport_module(M)',
        'for t in ("requests.get", "a.b"): patch(t)',
        'for t in ["requests.get"]: monkeypatch.setattr(t, fake)',
        'for t in sorted({"requests.get"}): patch(t)',
        'for t, n in [("requests.get", 1)]: patch(t, n)',
        'ps = [patch(t) for t in ("requests.get", "a.b")]',
        'T = ("requests.get", "a.b")\npatch(T[0])\nprint(T[1])',
        'T = {"get": "requests.get", "other": "x"}\npatch(T["get"])\nprint(T["other"])',
        'T = {"get": "requests.get"}\nfor n in T: print(n)\nfor t in T.values(): patch(t)',
        'T = {"requests.get": 1}\nfor t, n in T.items():\n    patch(t, n)\n    print(n)',
        'def t(target="requests.get"): patch(target)',
        'def h(path, **more): return patch(path, **more)\nh("requests.get")',
        'def h(a, *, path): return patch(path)\nh(1, path="requests.get")',
        '@contextmanager\ndef h(path):\n    with patch(path) as m: yield m\nh("requests.get")',
        'class T:\n    def h(self, path): return patch(path)\n    def t(self): self.h("requests.get")',
        'class T:\n    target = "requests.get"\n    def t(self): patch(self.target)',
        'class T(unittest.TestCase):\n    target = "requests.get"\n    def t(self): patch(self.target)',
        'class T:\n    target = "requests.get"\n    @patch(target)\n    def t(self, get): ...',
        'class T:\n    def setUp(self): self.target = "requests.get"\n    def t(self): patch(self.target)',
        'class T:\n    target = "requests.get"\nclass U(T):\n    def t(self): patch(self.target)',
        'class T:\n    target = "requests.get"\n    def t(self): patch(self.target)\nclass U:\n    def t(self): print(self.target)',
        'for t in ("requests.get",):\n    with self.subTest(target=t), patch(t): ...',
        f'{PARAMETRIZE}("target", ["requests.get"])\ndef t(target): patch(target)',
        f'{PARAMETRIZE}("target, n", [("requests.get", 1)])\ndef t(target, n): patch(target, n)',
        f'{PARAMETRIZE}(("n", "target"), [(1, "requests.get")])\ndef t(n, target): patch(target, n)',
        f'{PARAMETRIZE}("target", [pytest.param("requests.get", id="x")])\ndef t(target): patch(target)',
        f'{PARAMETRIZE}("n, t", [pytest.param(1, "requests.get", id="x")])\ndef f(n, t): patch(t)',
        f'T = ["requests.get"]\n{PARAMETRIZE}("target", T)\ndef t(target): patch(target)',
        f'{PARAMETRIZE}("target", ["requests.get"])\nclass T:\n    def t(self, target): patch(target)',
        f'@pytest.fixture\ndef s(target): return patch(target)\n{PARAMETRIZE}("target", ["requests.get"])\ndef t(s, target): ...',
        f'@pytest.fixture\ndef s(request): return patch(request.param)\n{PARAMETRIZE}("s", ["requests.get"], indirect=True)\ndef t(s): ...',
        f'@pytest.fixture\ndef s(request): return patch(request.param)\n{PARAMETRIZE}("s", ["requests.get"], indirect=["s"])\ndef t(s): ...',
        '@pytest.fixture(params=["requests.get"])\ndef s(request): return patch(request.param)',
        'def target(): return "requests.get"\npatch(target())',
        'def target(new):\n    if new: return "x.y"\n    return "requests.get"\ndef t():\n    name = target(1)\n    patch(name)',
        'def targets(): return ["requests.get", "a.b"]\nfor t in targets(): patch(t)',
        'def targets():\n    yield "requests.get"\n    yield "a.b"\nfor t in targets(): patch(t)',
        'class T:\n    def target(self): return "requests.get"\n    def t(self): patch(self.target())',
        f'def target(): return "requests.get"\n{PARAMETRIZE}("of", [target])\ndef t(of): patch(of())',
        f'class T:\n    {EXPAND}([("a", "requests.get")])\n    def t(self, n, target): patch(target, n)',
        f'class T:\n    {EXPAND}(["requests.get", "a.b"])\n    @patch("x.y")\n    def t(self, target, y): patch(target)',
        f'class T:\n    {EXPAND}([param("a", target="requests.get")], skip_on_empty=True)\n    def t(self, n, *, target): patch(target, n)',
        f'R = [("a", "requests.get")]\nclass T:\n    {EXPAND}(R)\n    def t(self, n, target): patch(target, n)',
        '@pytest.fixture(params=[pytest.param("requests.get")])\ndef s(request):\n    print(request.node)\n    return patch(request.param)',
    ],
)  # fmt: skip
def test_a_string_that_is_only_patched_or_imported_moves(rewritten, source):
    result = rewritten(f"{source}\n")

    assert source.replace('"requests.', '"capa_requests.') + "\n" == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('T = "requests.get"\npatch(T)\nprint(T)', 3),
        ('T = "requests.get"\npatch(T)\nassert T == name', 3),
        ('T = "requests.get"\npatch(T)\nprint(f"{T}")', 3),
        ('T = "requests.get"\npatch(T)\nclient.patch(T)', 3),
        ('T = "requests.get"\npatch(T)\ndef f(): return T', 3),
        ('T = "requests.get"\npatch(T)\n@g\ndef f(): return T\npatch(f())', 4),
        ('def target(): return "requests.get"\npatch(target())\nprint(target())', 3),
        ('def target(): return "requests.get"\npatch(target())\nf(side_effect=target)', 3),
        ('def target(): return "requests.get"\npatch(target())\ntarget.x = 1\ntarget[0]', 3),
        (f'class T:\n    {EXPAND}([("requests.get",)])\n    def t(self, target):\n        patch(target)\n        log(target)', 5),
        ('def f():\n    for t in ("requests.get",):\n        patch(t)\n        log(t)', 4),
        ('T = ("requests.get", 1)\npatch(T[0])\nx, *y = T', 3),
        ('T = {"a": "requests.get"}\npatch(T["a"])\nprint(T["a"])', 3),
        ('T = {"a": "requests.get"}\npatch(T["a"])\nprint(T[name])', 3),
        ('T = {"a": "requests.get"}\npatch(T["a"])\nT.update(other)', 3),
        ('T = {"requests.get": 1}\nfor t in T: patch(t)\nprint(T["requests.get"])', 3),
        ('T = {"requests.get": 1}\nfor t in T: patch(t)\nprint(T.get("requests.get"))', 3),
        ('def h(p):\n    log(p)\n    return patch(p)\nh("requests.get")', 2),
        ('class T:\n    t = "requests.get"\n    def f(self): patch(self.t)\nprint(x.t)', 4),
        (f'{PARAMETRIZE}("t", ["requests.get"])\ndef f(t):\n    patch(t)\n    print(t)', 4),
        ('@pytest.fixture(params=["requests.get"])\ndef s(request):\n    patch(request.param)\n    print(request.param)', 4),
        ('@pytest.fixture(params=["requests.get"])\ndef s(request):\n    patch(request.param)\n    f(request)', 4),
    ],
)  # fmt: skip
def test_a_string_that_other_code_uses_too_stays_and_is_warned_of(rewritten, source, line):
    result = rewritten(f"{source}\n")
    warnings = [one for one in result.outcome.findings if one.level == "warning"]

    assert f"{source}\n" == result.text.decode()
    assert {True} == {one.blocks for one in warnings}
    assert any(f"and other code in line {line}" in one.message for one in warnings)


@pytest.mark.parametrize(
    "source",
    [
        'T = "requests.get"',
        'TARGETS = ["requests.get"]',
        'TARGETS = {"requests.get": 1}',
        'replaced("requests.get")',
        'self.replaced(path="requests.Session.send")',
        'def target(): return "requests.get"',
        'p = partial(patch, "requests.get")',
        '@parameterized.expand([("requests.get",)])\ndef t(self, target): patch(target)',
        '@pytest.fixture\ndef target(): return "requests.get"\ndef t(target): patch(target)',
        'class T(Base):\n    target = "requests.get"',
        'def targets():\n    yield 1\n    return "requests.get"\npatch(targets())',
        'async def target(): return "requests.get"\nasync def t(): patch(await target())',
        f'class T:\n    {EXPAND}([("requests.get",)], name_func=named)\n    def t(self, target): patch(target)',
        f'class T:\n    {EXPAND}([{{"requests.get": 1}}])\n    def t(self, target): patch(target)',
        '@undone\ndef h(path): return patch(path)\nh("requests.get")',
        f'{PARAMETRIZE}("sent", ["requests.get"], indirect=True)\ndef t(sent): ...',
        f'pytestmark = {PARAMETRIZE[1:]}("target", ["requests.get"])\ndef t(target): patch(target)',
        'h(*args, "requests.get")',
        'def f():\n    global T\n    T = "requests.get"\n    patch(T)',
    ],
)
def test_a_string_of_a_test_whose_use_is_not_certain_is_warned_of(rewritten, source):
    result = rewritten(f"{source}\n", "tests/test_api.py")
    (finding,) = result.outcome.findings

    assert f"{source}\n" == result.text.decode()
    assert ("warning", True) == (finding.level, finding.blocks)
    assert "a test may patch it, and it is not certain where it is used" in finding.message


@pytest.mark.parametrize(
    "source",
    [
        'logging.getLogger("requests.sessions")',
        'caplog.set_level("DEBUG", logger="celery.app.trace")',
        'app.send_task("celery.backend_cleanup")',
        'assert "requests.get" in text',
        'assert name in ("requests.get", "requests.post")',
        'task = {"task": "celery.result.AsyncResult"}',
        '"""requests.get"""',
        'x: "requests.Session" = y',
        'statsd.incr("celery.tasks")',
        'patch("shop.api.requests.get")',
    ],
)
def test_a_string_of_a_test_that_names_no_target_is_not_warned_of(rewritten, source):
    findings = rewritten(f"{source}\n", "tests/test_api.py").outcome.findings

    assert "warning" not in {one.level for one in findings}


def test_outside_tests_a_string_that_nothing_patches_is_not_warned_of(rewritten):
    assert [] == rewritten('replaced("requests.get")\n', "shop/api.py").messages


def test_a_constant_that_another_file_imports_stays_and_the_file_is_named(rewritten):
    source = 'TARGET = "requests.get"\npatch(TARGET)\n'
    result = rewritten(source, "tests/targets.py", {"tests/test_a.py": "from .targets import TARGET\n"})

    assert source == result.text.decode()
    assert "it reaches `patch`, and tests/test_a.py may use it too" in result.messages[0]


def test_a_constant_of_the_same_name_in_another_file_changes_nothing(rewritten):
    result = rewritten(
        'TARGET = "requests.get"\npatch(TARGET)\n', "tests/test_b.py", {"tests/test_a.py": "TARGET = 1\n"}
    )

    assert [] == result.messages
    assert b'TARGET = "capa_requests.get"\npatch(TARGET)\n' == result.text


@pytest.mark.parametrize(
    "source",
    [
        'sys.modules["requests"] = fake',
        'patch.dict("sys.modules", {"requests": fake})',
        'monkeypatch.setitem(sys.modules, "requests", fake)',
        'monkeypatch.delitem(sys.modules, "requests")',
    ],
)
def test_a_module_that_a_test_replaces_in_sys_modules_is_warned_of(rewritten, source):
    result = rewritten(f"{source}\n", "tests/test_api.py")
    (finding,) = result.outcome.findings

    assert ("warning", True) == (finding.level, finding.blocks)
    assert "the migrated code imports capa_requests: name that if it is meant" == finding.next_step


def test_a_string_on_its_way_into_an_unserved_name_stays_with_the_reason(rewritten):
    result = rewritten('T = "requests.packages.urllib3"\npatch(T)\n')

    assert [
        "`requests.packages.urllib3` stays on the original: capa_requests does not serve it"
    ] == result.messages


def test_classes_that_inherit_from_each_other_end_the_search(rewritten):
    source = 'class A(B):\n    t = "requests.get"\n    def f(self): patch(self.t)\nclass B(A): ...\n'

    assert source == rewritten(source).text.decode()


@pytest.mark.parametrize(
    "source",
    [
        'T = "requests.get"\nT = [T]\npatch(T)',
        'def t(x):\n    x = [x, "requests.get"]\n    y = x\n    x = {"a": y}\n    patch(x)',
        'T = [(((((([("requests.get",)],),),),),),)]\npatch(T)',
    ],
)
def test_a_container_that_holds_itself_is_no_endless_way(rewritten, source):
    assert f"{source}\n".encode() == rewritten(f"{source}\n", "tests/test_a.py").text
