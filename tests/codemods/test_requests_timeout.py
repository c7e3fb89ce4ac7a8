"""Calls of requests get a timeout where it is certain that they have none, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules.requests_timeout import RequestsTimeout
from capa_codemods.write.splice import splice


class Result(NamedTuple):
    text: str
    notes: list[str]


@pytest.fixture
def timed(names, tmp_path):
    def run(text: str, settings=None, files=()) -> Result:
        project = Project(str(tmp_path), names, files, settings={"requests-timeout": settings or {}})
        rewrite = Rewrite(project, [RequestsTimeout()])
        outcome = rewrite.examine_data("module.py", text.encode())
        after = splice(text.encode(), outcome.edits)
        assert () == rewrite.examine_data("module.py", after).edits
        assert "error" not in {finding.level for finding in outcome.findings}
        return Result(after.decode(), [finding.message for finding in outcome.findings])

    return run


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import requests\nrequests.get(u)", "import requests\nrequests.get(u, timeout=60)"),
        ("import capa_requests as r\nr.post(u, d)", "import capa_requests as r\nr.post(u, d, timeout=60)"),
        ("from requests import put as p\np(u)", "from requests import put as p\np(u, timeout=60)"),
        ("from requests import api\napi.head(u)", "from requests import api\napi.head(u, timeout=60)"),
        ("import requests\nrequests.get((u))", "import requests\nrequests.get((u), timeout=60)"),
        ("import requests\nrequests.get(u,)", "import requests\nrequests.get(u, timeout=60,)"),
        (
            "import requests\nrequests.get(\n    u,  # é\n    params=p,  # all\n)\n",
            "import requests\nrequests.get(\n    u,  # é\n    params=p,  # all\n    timeout=60,\n)\n",
        ),
        (
            "import requests\nrequests.get('u', json=1,\n)",
            "import requests\nrequests.get('u', json=1, timeout=60,\n)",
        ),
        (
            "import requests\nrequests.get(\n    u, json=1,  # é\n)",
            "import requests\nrequests.get(\n    u, json=1, timeout=60,  # é\n)",
        ),
        (
            "import requests\nrequests.get(u, stream=False)",
            "import requests\nrequests.get(u, stream=False, timeout=60)",
        ),
        (
            "import requests\r\nrequests.get(\r\n\tu,\r\n)\r\n",
            "import requests\r\nrequests.get(\r\n\tu,\r\n\ttimeout=60,\r\n)\r\n",
        ),
        (
            "import requests\nwith requests.Session() as s:\n    s.get(u).json()",
            "import requests\nwith requests.Session() as s:\n    s.get(u, timeout=60).json()",
        ),
        (
            (
                "from requests.adapters import HTTPAdapter\nfrom requests import session\n"
                "s = session()\ns.mount('x', HTTPAdapter(max_retries=3))\ndef f(): s.send(p)\n"
            ),
            (
                "from requests.adapters import HTTPAdapter\nfrom requests import session\n"
                "s = session()\ns.mount('x', HTTPAdapter(max_retries=3))\ndef f(): s.send(p, timeout=60)\n"
            ),
        ),
        (
            (
                "import requests\nclass A:\n    s = None\n    def __init__(self): self.s = requests.Session()\n"
                "    def f(self): return self.s.get(u)\n"
            ),
            (
                "import requests\nclass A:\n    s = None\n    def __init__(self): self.s = requests.Session()\n"
                "    def f(self): return self.s.get(u, timeout=60)\n"
            ),
        ),
        (
            "try:\n    import requests\nexcept ImportError:\n    requests = None\nrequests.get(u)",
            "try:\n    import requests\nexcept ImportError:\n    requests = None\nrequests.get(u, timeout=60)",
        ),
    ],
)
def test_call_that_is_certain_gets_a_timeout(timed, before, after):
    assert Result(after, []) == timed(before)


@pytest.mark.parametrize(
    "text",
    [
        "import requests\nrequests.get(u, timeout=1)",
        "import requests\nrequests.get(u, timeout=None)",
        "import requests\nrequests.Session().request('GET', u, 1, 2, 3, 4, 5, 6, 7)",
        "import requests\ndef f(requests): requests.get(u)",
        "import requests\nrequests = wrapped(requests)\nrequests.get(u)",
        "import requests\nfor requests in x: requests.get(u)",
        "import requests\ndef f():\n    global requests\n    requests = 1\nrequests.get(u)",
        "import requests\nfrom other import *\nrequests.get(u)",
        "from . import requests\nrequests.get(u)",
        "import requests\nclass Session(requests.Session): pass\nSession().get(u)",
        "import requests\ns = requests.Session() if a else Fake()\ns.get(u)",
        "import requests\ns = requests.Session()\ns = Fake()\ns.get(u)",
        (
            "import requests\nclass A:\n    def __init__(self, s): self.s = s or requests.Session()\n"
            "    def f(self): self.s.get(u)\n"
        ),
        (
            "import requests\nclass A:\n    def __init__(self): self.s = requests.Session()\n"
            "    def f(self): self.s.get(u)\na = A()\na.s = Fake()\n"
        ),
        "import requests\nrequests.get(  # capa: ignore[requests-timeout]\n    u,\n)",
        "import requests\nrequests.codes.get(u)\nd = {}\nd.get('requests')",
    ],
)
def test_call_that_may_be_another_is_left_alone(timed, text):
    assert Result(text, []) == timed(text)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "requests.get(u, **k)",
            "`requests.get` may wait without limit: the arguments of `**` are not known",
        ),
        (
            "requests.get(u, stream=True)",
            "`requests.get` may wait without limit: it streams, and may be right to wait long for the next part",
        ),
        (
            "requests.get(u, stream=s)",
            "`requests.get` may wait without limit: it streams, and may be right to wait long for the next part",
        ),
        ("requests.get(*a)", "`requests.get` may wait without limit: the arguments of `*` are not known"),
        ("f'{requests.get(u)}'", "`requests.get` may wait without limit: it is in an f-string"),
        (
            "requests.get(u for u in x)",
            "`requests.get` may wait without limit: its arguments cannot be added to",
        ),
        (
            "requests.get = f\nrequests.get(u)",
            "`requests.get` may wait without limit: the method is replaced",
        ),
        (
            "s = requests.Session()\ns.mount('https://', Retrying(5))\ns.get(u)",
            "`s.get` may wait without limit: an adapter of its session may set one",
        ),
        (
            "s = requests.Session()\nprepare(s)\ns.get(u)",
            "`s.get` may wait without limit: `prepare` may have given its session one",
        ),
        (
            "s = requests.Session()\ns.request = partial(s.request, timeout=1)\ns.get(u)",
            "`s.get` may wait without limit: the method is replaced",
        ),
        (
            "t = v = requests.Session()\nprepare(v)\nt.get(u)",
            "`t.get` may wait without limit: `prepare` may have given its session one",
        ),
        (
            "requests.Session = Mine\nrequests.get(u)",
            "`requests.get` may wait without limit: the method is replaced",
        ),
        (
            "requests.adapters.HTTPAdapter.send = f\nrequests.get(u)",
            "`requests.get` may wait without limit: the method is replaced",
        ),
        (
            "with requests.Session() as s:\n    t = s\n    t.request = f\n    s.get(u)",
            "`s.get` may wait without limit: the method is replaced",
        ),
        (
            "requests.Session.request = f\nrequests.get(u)",
            "`requests.get` may wait without limit: the method is replaced",
        ),
        (
            "setattr(requests, 'get', f)\nrequests.get(u)",
            "`requests.get` may wait without limit: the method is replaced",
        ),
        (
            (
                "class A:\n    def __init__(self):\n        s = requests.Session()\n        s.mount('', Retrying())\n"
                "        self.s = s\n    def f(self): self.s.get(u)\n"
            ),
            "`self.s.get` may wait without limit: an adapter of its session may set one",
        ),
    ],
)
def test_call_in_doubt_is_noted(timed, text, note):
    assert Result(f"import requests\n{text}", [note]) == timed(f"import requests\n{text}")


REQUEST = "requests.Session.request = partialmethod(requests.Session.request, timeout=3)"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("app/cross.py", REQUEST),
        ("cross.py", "def install():\n    setattr(requests.sessions.Session, 'send', f)"),
        ("cross.py", "requests.get = f"),
        ("cross.py", "requests.sessions.Session = Mine"),
    ],
)
def test_call_whose_method_another_file_replaces_is_noted(timed, tmp_path, path, line):
    (tmp_path / "app").mkdir()
    (tmp_path / path).write_text(f"import requests\n{line}\n")
    text = "import requests\nrequests.get(u)"

    note = f"`requests.get` may wait without limit: the method is replaced in {path}"
    assert Result(text, [note]) == timed(text, files=[path])


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tests/test_x.py", REQUEST),
        ("conftest.py", REQUEST),
        ("cross.py", "requests.post = f"),
        ("cross.py", "s = requests.Session()\ns.get = f"),
        ("cross.py", "if requests.get == f: pass"),
        ("cross.py", "requests.Session.request = ("),
        ("gone.py", None),
    ],
)
def test_other_file_that_replaces_nothing_of_a_call_is_no_doubt(timed, tmp_path, path, line):
    (tmp_path / "tests").mkdir()
    if line:
        (tmp_path / path).write_text(f"import requests\n{line}\n")

    after = Result("import requests\nrequests.get(u, timeout=60)", [])
    assert after == timed("import requests\nrequests.get(u)", files=[path])


@pytest.mark.parametrize(
    ("settings", "capa_toml", "seconds"),
    [
        ({"seconds": 5}, "", "timeout=5"),
        ({"seconds": 2.5}, "[adapters.requests]\ntimeout_s = 10\n", "timeout=2.5"),
        ({}, "[adapters.requests]\ntimeout_s = 10\n", "timeout=10"),
        ({}, "[adapters.requests]\ntimeout_s = 1234567\n", "timeout=1234567"),
        ({}, "not toml", "timeout=60"),
    ],
)
def test_seconds_are_the_configured_ones(timed, tmp_path, settings, capa_toml, seconds):
    (tmp_path / "capa.toml").write_text(capa_toml)

    assert (
        f"import requests\nrequests.get(u, {seconds})"
        == timed("import requests\nrequests.get(u)", settings).text
    )


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan"])
def test_no_deadline_in_capa_toml_gives_no_timeout(timed, tmp_path, seconds):
    (tmp_path / "capa.toml").write_text(f"[adapters.requests]\ntimeout_s = {seconds}\n")

    assert Result("import requests\nrequests.get(u)", []) == timed("import requests\nrequests.get(u)")


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self):
        body = f"{self.command} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


PROGRAM = """\
import sys
import {package} as requests
from {package} import Session, get

URL = sys.argv[1]
print(requests.get(URL + "/a").text)
print(get(URL, params={{"b": 1}},).text)
print(requests.post(
    URL + "/c",
    data="é".encode(),  # bytes
).text)
with Session() as session:
    print(session.get(URL + "/d").text, session.request("GET", URL + "/e").text)


class Client:
    def __init__(self):
        self.session = requests.Session()

    def ask(self, path, **more):
        return self.session.get(URL + path).text, self.session.get(URL + path, **more).text


print(Client().ask("/f"))
print([requests.Session().get(URL + path).status_code for path in ("/g", "/h")])
"""


@pytest.mark.parametrize("package", ["requests", "capa_requests"])
def test_program_prints_the_same(timed, server, tmp_path, package):
    before = PROGRAM.format(package=package)
    after = timed(before).text

    assert 7 == after.count("timeout=60")
    assert _printed(before, server, tmp_path) == _printed(after, server, tmp_path)


def _printed(text: str, url: str, folder) -> str:
    (folder / "program.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, str(folder / "program.py"), url], cwd=folder, capture_output=True, text=True
    )

    assert "" == ran.stderr
    assert ran.stdout
    return ran.stdout
