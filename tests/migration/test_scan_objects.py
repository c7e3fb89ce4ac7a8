# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Objects of an SDK: followed through unambiguous bindings."""

import json

import pytest

SESSION = "requests.Session()"


@pytest.fixture
def followed(shapes):
    """Return the calls of a file on a session or a task: names and arguments, without the call that makes it."""

    def run(source):
        head = "import requests\nfrom celery import Celery, Task, shared_task\napp = Celery()\n"
        names = [name for _, _, name in shapes(head + source)]
        objects = ("requests.Session().", "celery.Task().", "celery.Celery().conf")
        return [name for name in names if name.startswith(objects)]

    return run


@pytest.mark.parametrize(
    "source",
    [
        "class A(requests.Session):\n    def get(self, url): ...\n    def go(self):\n        self.get(1)\nA().get(2)\n",
        "class A(requests.Session):\n    get = other\nA().get(2)\n",
        "class A(requests.Session):\n    def __init__(self):\n        self.get = other\n    def go(self):\n        self.get(1)\n",
        "class A(requests.Session, Other):\n    def go(self):\n        self.get(1)\nA().get(2)\n",
        "class A(Other):\n    def go(self):\n        self.get(1)\nA().get(2)\n",
        "class A(requests.Session):\n    def go(self):\n        self.token = 1\n        return self.__class__.__name__\n",
        "class A(requests.Session):\n    def go(self): ...\nclass B(A): ...\nB().go()\n",
        "class A(requests.Session):\n    def __enter__(self): ...\nwith A() as a:\n    a.get(1)\n",
        "class A(A): ...\nA().get(1)\n",
        "@app.task\ndef t(self):\n    self.retry()\n",
        "@app.task(bind=False)\ndef t(self):\n    self.retry()\n",
        "@other(bind=True)\ndef t(self):\n    self.retry()\n",
        "@app.task(bind=True, base=Other)\ndef t(self):\n    self.retry()\n",
        "a, b = requests.Session()\na.get(1)\n",
        "*a, b = requests.Session(), 1\na.get(1)\n",
        "s = requests.Session()\ns, b = 1, 2\ns.get(1)\n",
        "s = requests.Session()\ns, b = other()\ns.get(1)\n",
        "def make() -> list[requests.Session]: ...\nmake().append(1)\n",
        "@other\ndef make() -> requests.Session: ...\nmake().get(1)\n",
        "def make() -> requests.Session: ...\nmake.get(1)\n",
        "def f(all: list[requests.Session]):\n    all.append(1)\n",
        "def make():\n    if x:\n        return other()\n    return requests.Session()\nmake().get(1)\n",
        "def make():\n    return make().again()\nmake().get(1)\n",
        "def make() -> Other:\n    return requests.Session()\nmake().get(1)\n",
        "@other\ndef make():\n    return requests.Session()\nmake().get(1)\n",
        "def make():\n    def inner():\n        return requests.Session()\n    return 1\nmake().get(1)\n",
        "class A:\n    def s(self):\n        return requests.Session()\n    def go(self):\n        self.s.get(1)\n",
        "class A:\n    def s(self):\n        return requests.Session()\nclass B(A):\n    def s(self): ...\nB().s().get(1)\n",
        "class M(requests.Session): ...\nclass A(M, Other):\n    def go(self):\n        self.get(1)\n",
    ],
)  # fmt: skip
def test_ambiguous_object_is_not_followed(followed, source):
    assert [] == followed(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A(requests.Session):\n    def go(self):\n        self.get(1)\n", ["requests.Session().get(*)"]),
        ("class A(requests.Session):\n    def get(self):\n        super().get(1)\n", ["requests.Session().get(*)"]),
        ("class A(requests.Session): ...\na = A()\na.post(1)\n", ["requests.Session().post(*)"]),
        ("from requests import Session\nclass Session(Session): ...\nSession().put(1)\n", ["requests.Session().put(*)"]),
        ("class A(requests.Session):\n    def go(self): ...\nclass B(A): ...\nB().head()\n", ["requests.Session().head()"]),
        ("class A(requests.Session): ...\ndef f(a: A):\n    a.put()\n", ["requests.Session().put()"]),
        ("class A:\n    def __init__(self):\n        self.s = requests.Session()\nA().s.put()\n", ["requests.Session().put()"]),
        ("class A:\n    @property\n    def s(self) -> requests.Session: ...\n    def go(self):\n        self.s.put()\n",
         ["requests.Session().put()"]),
        ("class A:\n    def s(self) -> requests.Session: ...\n    def go(self):\n        self.s().put()\n", ["requests.Session().put()"]),
        ("class T(Task):\n    def run(self):\n        self.retry()\n", ["celery.Task().retry()"]),
        ("@app.task(bind=True)\ndef t(self):\n    self.retry(countdown=1)\n", ["celery.Task().retry(countdown)"]),
        ("@shared_task(bind=True)\ndef t(me, x):\n    me.update_state()\n", ["celery.Task().update_state()"]),
        ("class T(Task):\n    def retry(self): ...\n@app.task(bind=True, base=T)\ndef t(self):\n    self.retry()\n    self.apply()\n",
         ["celery.Task().apply()"]),
        ("if (w := requests.Session()):\n    w.put()\n", ["requests.Session().put()"]),
        ("a, b = requests.Session(), 1\na.put()\n", ["requests.Session().put()"]),
        ("def make() -> requests.Session: ...\nmake().put()\n", ["requests.Session().put()"]),
        ("@lru_cache(maxsize=1)\ndef make() -> 'requests.Session': ...\nmake().put()\n", ["requests.Session().put()"]),
        ("async def make() -> requests.Session: ...\nasync def f():\n    (await make()).put()\n", ["requests.Session().put()"]),
        ("def make():\n    s = requests.Session()\n    return s\nmake().put()\n", ["requests.Session().put()"]),
        (("def make():\n    if x:\n        return None\n    return make_other()\ndef make_other():\n    return requests.Session()\n"
         "make_other().put()\n"), ["requests.Session().put()"]),
        ("async def make():\n    return requests.Session()\nasync def f():\n    (await make()).put()\n", ["requests.Session().put()"]),
        ("class A:\n    def go(self):\n        self.s().put()\n    def s(self):\n        s = requests.Session()\n        return s\n",
         ["requests.Session().put()"]),
        (("class A:\n    def go(self):\n        self.s.put()\n    @property\n    def s(self):\n        return self._s()\n"
         "    @cache\n    def _s(self):\n        if self.x is None:\n            self.x = requests.Session()\n        return self.x\n"),
         ["requests.Session().put()"]),
        ("class A:\n    @functools.cached_property\n    def s(self):\n        return requests.Session()\nA().s.put()\n",
         ["requests.Session().put()"]),
        (("class A:\n    def go(self):\n        return self.s.request(1)\n    def one(self):\n        self.r = self.go()\n"
         "    def two(self):\n        self.r.json()\n    s = requests.Session()\n"),
         ["requests.Session().request(*)", "requests.Session().request().json()"]),
        (("class A:\n    @contextmanager\n    def s(self):\n        with requests.Session() as s:\n            yield s\n"
         "    def go(self):\n        with self.s() as s:\n            s.put()\n"), ["requests.Session().put()"]),
        (("class M:\n    @property\n    def s(self):\n        return requests.Session()\n"
         "class A(Other, M):\n    def go(self):\n        self.s.put()\n"), ["requests.Session().put()"]),
        ("class M:\n    s = requests.Session()\nclass N(M, Other): ...\nclass A(Other, N): ...\nA.s.put()\n", ["requests.Session().put()"]),
        ("app.conf.timezone = 'UTC'\n", ["celery.Celery().conf.timezone()"]),
        ("s = requests.Session()\ns.verify = False\n", ["requests.Session().verify()"]),
    ],
)  # fmt: skip
def test_unambiguous_object_is_followed(followed, source, expected):
    assert expected == followed(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from celery import current_app\nuse(current_app)\n", [(2, "use", "celery.current_app()")]),
        ("from celery import current_app\ncurrent_app.send_task(x)\n", [(2, "call", "celery.Celery().send_task(*)")]),
        ("import celery\napp = celery.current_app\n@app.task\ndef f(): ...\nf.delay()\n",
         [(2, "use", "celery.current_app()"), (3, "use", "celery.Celery().task()"), (5, "call", "celery.Task().delay()")]),
    ],
)  # fmt: skip
def test_a_name_that_is_an_object_is_followed_as_one(shapes, source, expected):
    assert expected == shapes(source)


PROJ = """\
import requests
session = requests.Session()
_hidden = requests.Session()
def get_session() -> requests.Session: ...
class Client:
    def __init__(self):
        self.s = session
class Api(requests.Session):
    def get(self): ...
def made():
    return session
class Mixin:
    @property
    def own(self):
        return Client().s
    def load(self):
        return self.own.get("x")
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from proj.http import *\n_hidden.put()\n", []),
        ("from proj.http import Api\nApi().get()\n", []),
        ("import proj.other\nproj.http.session.put()\n", ["put"]),  # bound by its importer
        ("import proj.http as web\nweb.session.put()\n", ["put"]),
        ("import proj.http\nproj.http.session.put()\n", ["put"]),
        ("from proj.http import *\nsession.put()\n", ["put"]),
        ("from proj.http import get_session\nget_session().put()\n", ["put"]),
        ("from proj.http import Client\nClient().s.put()\n", ["put"]),
        (
            "from proj.http import Client\nclass A:\n    c: Client\n    def go(self):\n        self.c.s.put()\n",
            ["put"],
        ),
        ("from proj.http import Api\nApi().put()\n", ["put"]),
        ("from proj.http import made\nmade().put()\n", ["put"]),
        (
            "from proj.http import Mixin\nclass A(Other, Mixin):\n    def go(self):\n        self.own.put()\n",
            ["put"],
        ),
        (
            "from proj.http import Mixin\nclass A(Mixin):\n    def go(self):\n        r = self.load()\n        r.json()\n",
            ["get().json"],
        ),
        ("from proj.http import Api\nclass B(Api):\n    def go(self):\n        self.put()\n", ["put"]),
    ],
)
def test_objects_are_followed_from_file_to_file(capa, tmp_path, source, expected):
    for name, text in {"__init__": "", "http": PROJ, "other": "import requests\n"}.items():
        (tmp_path / "proj").mkdir(exist_ok=True)
        (tmp_path / f"proj/{name}.py").write_text(text)
    (tmp_path / "user.py").write_text(source)

    sites = json.loads(capa("scan", tmp_path, "--json").out)["sites"]

    assert [f"{SESSION}.{name}" for name in expected] == [
        site["name"] for site in sites if site["path"] == "user.py"
    ]


def test_classes_that_are_each_others_base_are_no_trap(capa, tmp_path):
    (tmp_path / "a.py").write_text("import requests\nfrom b import B\nclass A(B): s = requests.Session()\n")
    (tmp_path / "b.py").write_text("from a import A\nclass B(A): ...\nB().nothing.get()\n")

    assert 0 == capa("scan", tmp_path).code
