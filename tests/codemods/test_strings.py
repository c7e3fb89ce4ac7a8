# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Strings that name an SDK: those that move, those that are reported, and those that are only strings."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('patch("requests.get")', 'patch("capa_requests.get")'),
        ("@mock.patch('requests.Session.send')\ndef t(): ...", "@mock.patch('capa_requests.Session.send')\ndef t(): ..."),
        ('mocker.patch("requests.exceptions.HTTPError")', 'mocker.patch("capa_requests.exceptions.HTTPError")'),
        ('patch(target="requests.get", new=1)', 'patch(target="capa_requests.get", new=1)'),
        ('patch.multiple("requests", get=1)', 'patch.multiple("capa_requests", get=1)'),
        ('monkeypatch.setattr("requests.get", fake)', 'monkeypatch.setattr("capa_requests.get", fake)'),
        ('monkeypatch.delattr("requests.sessions.Session.request")',
         'monkeypatch.delattr("capa_requests.sessions.Session.request")'),
        ('import_module("requests.exceptions")', 'import_module("capa_requests.exceptions")'),
        ('importlib.import_module(name="celery")', 'importlib.import_module(name="capa_celery")'),
        ('__import__("requests")', '__import__("capa_requests")'),
        ('pytest.importorskip("celery")', 'pytest.importorskip("capa_celery")'),
        ('importlib.util.find_spec("celery.schedules")', 'importlib.util.find_spec("capa_celery.schedules")'),
        ('import_string("celery.Celery")', 'import_string("capa_celery.Celery")'),
        ('symbol_by_name("celery.schedules:crontab")', 'symbol_by_name("capa_celery.schedules:crontab")'),
        ('patch(\n    """requests.get"""\n)', 'patch(\n    """capa_requests.get"""\n)'),
        ("patch(r'requests.get')", "patch(r'capa_requests.get')"),
        ("with patch('requests.get') as a, patch('requests.post'): ...",
         "with patch('capa_requests.get') as a, patch('capa_requests.post'): ..."),
        ("x = [patch('requests.get') for y in z if patch('requests.put')]",
         "x = [patch('capa_requests.get') for y in z if patch('capa_requests.put')]"),
    ],
)  # fmt: skip
def test_name_that_gets_imported_moves(rewritten, before, after):
    result = rewritten(f"{before}\n")

    assert f"{after}\n" == result.text.decode()


@pytest.mark.parametrize(
    "source",
    [
        'mocker.patch("requests.get")',
        'self.mocker.patch("requests.get")',
        'class_mocker.patch("requests.get")',
        'unittest.mock.patch("requests.get")',
        'self._monkeypatch.setattr("requests.get", 1)',
        'mp.setattr("requests.get", 1)',
        'monkeysession.delattr("requests.get")',
        'mock.patch.multiple("requests", get=1)',
        'import unittest.mock as um\num.patch("requests.get")',
        'from unittest import mock as m\n@m.patch("requests.get")\ndef t(): ...',
        'with monkeypatch.context() as m:\n    m.setattr("requests.get", 1)',
        'with pytest.MonkeyPatch.context() as m:\n    m.setattr("requests.get", 1)',
        'm = pytest.MonkeyPatch()\nm.setattr("requests.get", 1)',
        'm: object = monkeypatch\nm.setattr("requests.get", 1)',
        'self.m = mocker\nself.m.patch("requests.get")',
        'def t(m: pytest.MonkeyPatch): m.setattr("requests.get", 1)',
        'def t(m: "MockerFixture"): m.patch("requests.get")',
        '@pytest.fixture\ndef m(monkeypatch):\n    yield monkeypatch\ndef t(m): m.setattr("requests.get", 1)',
        'class T:\n    def patch(self, name): return patch(name).start()\n    def t(self): self.patch("requests.get")',
        'class T:\n    def patch(self, *a): return mock.patch(*a)\n    def t(self): self.patch("requests.get")',
        'from importlib import util as u\nu.find_spec("requests")',
        'find_spec("requests")',
        '__import__("requests", level=0)',
    ],
)  # fmt: skip
def test_a_string_in_a_call_that_patches_or_imports_moves(rewritten, source):
    result = rewritten(f"{source}\n")

    moved = source.replace('"requests', '"capa_requests')
    assert f"{moved}\n" == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("source", "callee"),
    [
        ('github.patch("requests.yml", "body")', "github.patch"),
        ('client.patch("requests.json")', "client.patch"),
        ('s.patch("requests.get")', "s.patch"),
        ('Cfg().find_spec("requests")', "….find_spec"),
        ('Cfg().setattr("requests.queue", 3)', "….setattr"),
        ('db.delattr("requests.count")', "db.delattr"),
        ('def t(db: Client): db.patch("requests.count")', "db.patch"),
        ('with mock.patch("a.b") as m:\n    m.patch("requests.count")', "m.patch"),
        ('m = mocker\nm = Client()\nm.patch("requests.count")', "m.patch"),
        ('class T:\n    def t(self): self.patch("requests.json")', "self.patch"),
        (
            'class T:\n    def patch(self, u): s.patch(u)\n    def t(self): self.patch("requests.json")',
            "self.patch",
        ),
        ('client = mock.Mock()\nclient.patch("requests.count")', "client.patch"),
    ],
)
def test_a_string_in_a_call_of_another_object_stays_and_is_reported(rewritten, source, callee):
    result = rewritten(f"{source}\n")

    assert f"{source}\n" == result.text.decode()
    assert [f"it is not certain that `{callee}` takes the name of a module"] == [
        message.partition(": ")[2] for message in result.messages
    ]


@pytest.mark.parametrize(
    "source",
    [
        'patch("pkg.mod.requests.get")',
        'patch("requests_oauthlib.OAuth2Session")',
        'client.patch("requests")',
        'client.patch("requests/1")',
        'setattr("requests.get", 1)',
        '__import__("celery", globals(), locals(), ["x"], 1)',
        '__import__("celery.schedules", level=2)',
        '__import__("celery", level=level)',
        'builtins.__import__("celery", globals(), level=1)',
        'client.patch("/requests")',
        'setattr(obj, "requests", 1)',
        'setattr("requests", 1)',
        'get_metric("celery")',
        'x = "requests"',
        'd = {"requests": 1, "celery": {}}',
        'd["requests"]',
        'f("see requests.get for more")',
        'client.patch(f"requests.{name}")',
        'print("celery." + name)',
        'print(f"celery.{name}")',
        'import_module(f"celery_{name}.x")',
        'import_module(name + ".celery")',
        'gettext_lazy("celery")',
        'def __getattr__(n): return import_module(n)\nT = {"celery": 1}',
        'def __getattr__(n): return import_module(n)\ndef f(): t = {"celery": ["x"]}',
        'T = {"celery": ["x"]}\nimport_module(n)',
        # These name modules of the package itself.
        '__getattr__, __dir__, __all__ = lazy.attach(__name__, submod_attrs={"celery": ["app"]})',
        '_import_structure = {"celery.result": ["AsyncResult"]}',
        'import_module(f"{root}.celery")',
        'import_module(".requests", package="x")',
        "patch(b'requests.get')",
        'patch("requests.sessions.preferred_clock")',
    ],
)
def test_string_that_names_no_sdk_is_only_a_string(rewritten, source):
    result = rewritten(f"{source}\n")

    assert f"{source}\n" == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('logging.getLogger("requests")', "the logger `requests` keeps its name"),
        ('d.get("celery")', "`get('celery')` has the name of an SDK"),
        ('sys.modules["requests"]', "`sys.modules['requests']` is the original"),
        ('patch.dict("sys.modules", {"requests": None})', "`sys.modules['requests']` is the original"),
        ('RESULT = "celery.schedules.crontab"', "the setting `RESULT` names `celery.schedules.crontab`, which stays the original's"),
        ('load("celery.schedules.crontab")', "the string 'celery.schedules.crontab' names something of an SDK"),
        ('import_module("celery." + name)', "`celery.` stays on the original: the name is put together when the program runs"),
        ('import_module("celery." + a + b)', "`celery.` stays on the original: the name is put together when the program runs"),
        ('import_module("celery.%s" % name)', "`celery.%s` stays on the original: the name is put together when the program runs"),
        ('import_module("celery.{}".format(name))', "`celery.{}` stays on the original: the name is put together when the program runs"),
        ('import_module(f"celery.{name}")', "`celery.` stays on the original: the name is put together when the program runs"),
        ('mock.patch(f"requests.{name}")', "`requests.` stays on the original: the name is put together when the program runs"),
        ('import_module(".result", package="celery")', "`celery` stays on the original: a relative name is added to it"),
        ('import_module(".result", "celery")', "`celery` stays on the original: a relative name is added to it"),
        ('import_module(".log", package="celery.utils")', "`celery.utils` stays on the original: a relative name is added to it"),
        ('lazy.load("requests")', "`requests` may be imported when it is first used"),
        ('LazyImport("celery")', "`celery` may be imported when it is first used"),
        ('r = LazyLoader("r", globals(), "requests")', "`requests` may be imported when it is first used"),
        ('T = {"requests": ["get"]}\ndef __getattr__(n): return import_module(n)', "`requests` may be imported when it is first used"),
        ('patch("requests.packages.urllib3")', "`requests.packages.urllib3` stays on the original: capa_requests does not serve it"),
        ('patch("celery.app.base.x")', "`celery.app.base.x` stays on the original: `app` may be a module that capa_celery does not list"),
        ('patch("requests.sessions._private")', "`requests.sessions._private` stays on the original: it is private to the original, whose own code reads it"),
        ('patch("celery.security.setup_security")', "`celery.security.setup_security` stays on the original: it is in a module that capa_celery does not list"),
        ('import_string("celery.security")', "`celery.security` stays on the original: it is in a module that capa_celery does not list"),
        ('import_module("celery.security")', "`celery.security` stays on the original: capa_celery does not list this module"),
        ('import_module("celery.bin.worker")', "`celery.bin.worker` stays on the original: capa_celery does not list this module"),
        ('patch("requests" ".get")', "`requests.get` stays on the original: the literal is joined from parts or escaped"),
        ('patch("requests.g\\x65t")', "`requests.get` stays on the original: the literal is joined from parts or escaped"),
    ],
)  # fmt: skip
def test_string_in_doubt_stays_and_is_reported(rewritten, source, expected):
    result = rewritten(f"{source}\n")

    assert f"{source}\n" == result.text.decode()
    assert [expected] == result.messages


@pytest.mark.parametrize(
    "source",
    [
        "def f(target='requests.Session.send'): ...",
        "def f(a, b=1, /, path='requests.sessions.Session', *c): ...",
        "def f(*, x, target: str = 'requests.Session.send', y=1) -> None: ...",
        "f = lambda a, target='requests.Session.send': a",
    ],
)
def test_default_of_a_parameter_for_a_target_stays_and_is_warned_of(rewritten, source):
    result = rewritten(f"{source}\n")

    assert f"{source}\n" == result.text.decode()
    (finding,) = result.outcome.findings
    assert ("warning", "name capa_requests by hand") == (finding.level, finding.next_step)
    assert "which may get it patched or imported" in finding.message


@pytest.mark.parametrize(
    "source",
    [
        "def f(target='requests.get', path='requests.x'): ...",
        "def f(target='requests'): ...",
        "def f(name='celery.schedules.Crontab'): ...",
        "def f(target=a['requests.Session.send']): ...",
    ],
)
def test_other_default_is_no_warning(rewritten, source):
    assert "warning" not in {finding.level for finding in rewritten(f"{source}\n").outcome.findings}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('T = {"a": "requests", "b": "requests.exceptions"}\ndef __getattr__(n): return import_module(T[n])',
         'T = {"a": "capa_requests", "b": "capa_requests.exceptions"}\ndef __getattr__(n): return import_module(T[n])'),
        ('T = {"a": ("celery", "Celery")}\ndef __getattr__(n):\n    m, _ = T[n]\n    return importlib.import_module(m)',
         'T = {"a": ("capa_celery", "Celery")}\ndef __getattr__(n):\n    m, _ = T[n]\n    return importlib.import_module(m)'),
        ('T: dict = {"a": "requests"}\ndef __getattr__(n):\n    if n in T: return import_module(T.get(n))\ndef __dir__(): return sorted(T)',
         'T: dict = {"a": "capa_requests"}\ndef __getattr__(n):\n    if n in T: return import_module(T.get(n))\ndef __dir__(): return sorted(T)'),
    ],
)  # fmt: skip
def test_table_to_import_from_moves(rewritten, before, after):
    result = rewritten(f"{before}\n")

    assert f"{after}\n" == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('__lazy_modules__ = ["requests"]', '__lazy_modules__ = ["capa_requests"]'),
        ('__lazy_modules__ = {"os", "requests.exceptions"}', '__lazy_modules__ = {"os", "capa_requests.exceptions"}'),
        ('__lazy_modules__: list[str] = ["celery"]', '__lazy_modules__: list[str] = ["capa_celery"]'),
        ('__lazy_modules__ = ["celery.unserved"]', '__lazy_modules__ = ["celery.unserved"]'),
    ],
)  # fmt: skip
def test_module_that_python_imports_on_first_use_moves(rewritten, before, after):
    assert f"{after}\n" == rewritten(f"{before}\n").text.decode()


@pytest.mark.parametrize(
    "source",
    [
        'T = {"a": "requests"}\ndef __getattr__(n): return import_module(T[n])\nprint(T)',
        'T = {"a": "requests"}\ndef __getattr__(n):\n    m = T[n]\n    log(m)\n    return import_module(m)',
        'T = {"a": "requests"}\ndef __getattr__(n): return import_module(n)',
        'T = {"a": "requests"}\nT["b"] = import_module(T["a"])\n__getattr__ = 1\nfor x in T.values(): print(x)',
    ],
)
def test_table_that_is_read_otherwise_stays(rewritten, source):
    assert f"{source}\n" == rewritten(f"{source}\n").text.decode()


@pytest.mark.parametrize(
    "source",
    [
        'def f(s: "requests.Session", *, t: "Optional[requests.Response]" = None) -> "requests.Response": ...',
        'class A:\n    s: "requests.Session"',
        'x: Annotated[str, "requests.exceptions.Timeout"] = ""',
        's = cast("requests.Session", x)',
        'T = TypeVar("T", bound="requests.Session")',
        'LOGGING = {"loggers": {"requests.exceptions": {}}}',
        'statsd.incr("celery.tasks")',
        'app.send_task("celery.backend_cleanup")',
        '__all__ = ["requests", "celery"]',
        '_TASK_TAG_KEY = "celery.action"',
        'REASON = "celery.retry.reason"',
    ],
)
def test_string_for_a_type_checker_or_a_name_of_something_else_is_not_reported(rewritten, source):
    result = rewritten(f"{source}\n")

    assert f"{source}\n" == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("source", "setting"),
    [
        ('CELERY_BEAT_SCHEDULER = "celery.schedules:crontab"', "CELERY_BEAT_SCHEDULER"),
        ('LOGGING = {"formatters": {"x": {"()": "celery.utils.log.ColorFormatter"}}}', "()"),
        ('DATABASES = {"x": {"BACKEND": "requests.Session"}}', "BACKEND"),
        ('INSTALLED_APPS = ["django.contrib.auth", "celery.schedules"]', "INSTALLED_APPS"),
        ('{"()": "celery.shutdown"}', "()"),
        ('TASK = "celery.shared_task"', "TASK"),
        ('SIGN = "celery.security.setup_security"', "SIGN"),
        ('STEP = "celery.bootsteps.step"', "STEP"),
        ('MIDDLEWARE: list[str] = ("requests.Session",)', "MIDDLEWARE"),
    ],
)
def test_setting_that_names_a_class_stays_and_is_reported(rewritten, source, setting):
    (message,) = rewritten(f"{source}\n").messages

    assert message.startswith(f"the setting `{setting}` names")


def test_top_level_package_that_import_returns_must_be_the_right_one(rewritten):
    result = rewritten('__import__("pyapollo.apollo_client")\n', files={"requirements.txt": "pyapollo\n"})

    assert b'__import__("pyapollo.apollo_client")\n' == result.text
    assert "`__import__` returns the top-level package" in result.messages[0]


def test_string_of_a_shadowed_root_stays(rewritten):
    result = rewritten('patch("requests.get")\n', files={"requests.py": ""})

    assert b'patch("requests.get")\n' == result.text


def test_string_and_import_of_one_file_are_proven_together(rewritten):
    result = rewritten('import requests\n\n\n@patch("requests.get")\ndef t(): ...\n')

    assert b'import capa_requests as requests\n\n\n@patch("capa_requests.get")\ndef t(): ...\n' == result.text
    assert {"imports", "strings"} == {edit.rule for edit in result.outcome.edits}
