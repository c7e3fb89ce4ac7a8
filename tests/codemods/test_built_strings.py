# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Names of modules that expressions put together: they move, or are warned of at the place of the literal."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "source",
    [
        'M = "requests"\nimport_module(M)',
        'M = "requests"\npatch(M + ".get")',
        'M = "requests"\npatch(f"{M}.get")',
        'M = "requests"\npatch(f"{M!s}.get")',
        'M = "requests"\npatch("%s.get" % M)',
        'M = "requests"\npatch("%s.%s" % (M, "get"))',
        'M = "requests"\npatch("{}.get".format(M))',
        'M = "requests"\npatch("{0}.{name}".format(M, name="get"))',
        'M = "requests"\npatch("{m}.get".format(m=M))',
        'M = "requests"\npatch(".".join((M, "get")))',
        'PARTS = ("requests", "Session")\npatch(".".join(PARTS))',
        'patch("{m}.Session".format(m="requests"))',
        'patch(("requests" if new else "urllib3") + ".Session")',
        'patch("requests" + ".Session")',
        'patch("requests" + ".Session" + ".send")',
        'patch(("requests" + ".Session"))',
        'patch("requests." + "Session")',
        'patch("requests.%s" % "Session")',
        'patch("requests.{}".format("Session"))',
        'patch(".".join(("requests", "Session")))',
        'patch(".".join(["requests", "Session"]))',
        'patch("%s.Session" % "requests")',
        'patch("{}.Session".format("requests"))',
        'patch(target="requests" + ".Session")',
        'N = "get"\nM = "requests"\npatch(M + "." + N)',
        'M = "requests"\nN = M + ".sessions"\npatch(N + ".Session.send")',
        'M = "requests"\nimport_module(M + ".exceptions")\npatch(f"{M}.get")\npatch.multiple(M, get=1)',
        'M = "requests.sessions"\npatch(f"{M}.Session")',
        'T = "requests.{}"\npatch(T.format("get"))',
        'T = "requests.%s"\npatch(T % "get")',
        'def t():\n    m = "requests"\n    with patch(m + ".get"): ...',
        'def t(m="requests"): return patch(f"{m}.get")',
        'def h(m, n): return patch(m + ".get", n)\nh("requests", 1)',
        'class T:\n    M = "requests"\n    def t(self): patch(self.M + ".get")',
        'for m in ("requests", "urllib3"): import_module(m)',
        'T = {"a": "requests"}\nT = {}\ndef __getattr__(n): return import_module(T[n])',
        'T = {"a": "requests"}\n__getattr__ = 1\nclass A:\n    m = T["a"]\n    import_module(m)',
        'def module(): return "requests"\npatch(module() + ".get")',
    ],
)  # fmt: skip
def test_a_name_whose_parts_are_known_moves(rewritten, source):
    result = rewritten(f"{source}\n")

    assert source.replace('"requests', '"capa_requests') + "\n" == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('M = "requests"\npatch(f"{M}.{name}")', "the name is put together when the program runs"),
        ('M = "requests"\npatch(f"{M}.get{n:>2}")', "the name is put together when the program runs"),
        ('M = "requests"\npatch(M + suffix)', "the name is put together when the program runs"),
        ('M = "requests"\npatch("%s.%r" % (M, n))', "the name is put together when the program runs"),
        ('M = "requests"\npatch("{}.{:>4}".format(M, n))', "the name is put together when the program runs"),
        ('M = "requests"\npatch(".".join((M, *names)))', "the name is put together when the program runs"),
        ('M = "requests"\nfor n in ("get", "put"): patch(f"{M}.{n}")', "the name is put together when the program runs"),
        ('T = f"requests.{name}"\npatch(T)', "the name is put together when the program runs"),
        ('M = "requests"\npatch(M + ".get")\nprint(M)', "it reaches `patch`, and other code in line 3"),
        ('M = "requests"\npatch(M + ".get")\npatch(f"{p}.{M}.get")', "it reaches `patch`, and other code in line 3"),
        ('M = "requests"\npatch(M + ".get")\nprint(f"no {M}")', "it reaches `patch`, and other code in line 3"),
        ('T = {"requests": 1}\nfor m in T: import_module(m)\nprint(T[name])', "it reaches `import_module`, and other code in line 3"),
        ('M = "requests"\nimport_module(M)\nd[M]', "it reaches `import_module`, and other code in line 3"),
        ('M = "requests"\npatch(M + ".get")\nsys.modules[M] = fake', "it reaches `patch`, and a place where the name stays"),
        ('M = "requests"\npatch(M + ".get")\npatch(M + ".sessions._x")', "it reaches `patch`, and a place where the name stays"),
        ('M = "requests"\npatch(M + "_oauthlib.x")\npatch(M + ".get")', "it reaches `patch` in the name of something else too"),
        ('M = "requests"\npatch(M + ".sessions._private")', "it is private to the original, whose own code reads it"),
        ('M = "requests"\nimport_module(".sessions", M)', "a relative name is added to it"),
        ('M = ("requests" "")\nimport_module(M)', "the literal is joined from parts or escaped"),
        ('T = "requests" ".get"\npatch(T)', "the literal is joined from parts or escaped"),
    ],
)  # fmt: skip
def test_a_name_of_which_that_is_not_certain_stays_and_is_warned_of(rewritten, source, reason):
    result = rewritten(f"{source}\n", files={"requirements.txt": "requests\npyapollo\n"})
    (finding,) = result.outcome.findings

    assert f"{source}\n" == result.text.decode()
    assert ("warning", reason) == (finding.level, finding.message.partition(": ")[2])
    assert finding.blocks


@pytest.mark.parametrize(
    "source",
    [
        'patch("%(m)s.get" % {"m": "requests"})',
        'patch("%(m)s.get" % dict(m="requests"))',
        'T = {"m": "requests"}; patch("%(m)s.get" % T)',
        'T = {"m": "requests"}; patch("{t[m]}.get".format(t=T))',
        'patch("{m}.get".format_map({"m": "requests"}))',
        'patch("{m}.get".format(**{"m": "requests"}))',
        'patch("{}.{}".format(*["requests", "get"]))',
        'patch("{m:s}.get".format(m="requests"))',
        'patch(string.Template("$m.get").substitute(m="requests"))',
        'patch(Template("${m}.get").safe_substitute({"m": "requests"}))',
        'patch(Template("requests.$n").substitute(n="get"))',
        'N = Template("$m.get"); patch(N.substitute(m="requests"))',
        't = "requests"; t += ".get"; patch(t)',
        't = ""; t += "requests"; t += ".get"; patch(t)',
        'for t in "requests.get requests.post".split(): patch(t)',
        'for t in "shop.x,requests.get".split(","): patch(t)',
        'TARGETS = "requests.get requests.post".splitlines(); patch(TARGETS[0])',
        'for m in "urllib3 requests".split(): patch(m + ".get")',
        'patch(".".join("requests get".split()))',
        'patch("requests.get other".partition(" ")[0])',
        'patch("requests.getx"[:-1])',
        'patch("requests.get ".rstrip())',
        'patch(" requests.get".strip())',
        'patch("requests-get".replace("-", "."))',
        'patch("x.get".replace("x", "requests"))',
        'patch(str("requests.get"))',
        'patch("requests\\x2eget")',
        'patch("re" "quests.get")  # requests',
        'patch("requ" + "ests.get")  # requests',
        'patch("\\x72equests.get")  # requests',
        'def h(t): return patch(t)\n\nh("requests.get ".strip())',
        '@mark.parametrize("t", "requests.get requests.put".split())\ndef test(t): patch(t)',
        'import_module("requests.exceptions ".strip())',
        'replaced("requests.get ".strip())',
        'TARGETS = "requests.get requests.post".split()',
    ],
)
def test_a_name_that_is_computed_in_other_ways_is_warned_of(rewritten, source):
    result = rewritten(f"{source}\n", "tests/test_api.py")
    (finding,) = result.outcome.findings
    line = 1 + source.count("\n", 0, source.find("requests"))

    assert f"{source}\n" == result.text.decode()
    assert ("warning", True, line) == (finding.level, finding.blocks, finding.line)


def test_a_table_of_names_is_warned_of_in_one_line(rewritten):
    (finding,) = rewritten('for t in """\n  requests.get\n  x.y\n""".split(): patch(t)\n').outcome.findings

    assert finding.message.startswith("`requests.get x.y` stays on the original: ")


@pytest.mark.parametrize(
    "source",
    [
        'M = "requests"',
        'print("no requests left %s" % x)\npatch(x)',
        'print("no requests left".split())\npatch(x)',
        'print("see requests.get".split())',
        'write("import requests requests.get(1)".replace(" ", x))',
        'url = "https://requests.example/a".split("/")\npatch(x)',
        'install = "requests urllib3".split()\npatch(x)',
        'patch("shop/requests".replace("/", "."))',
        'patch("shop.{m}".format(m="requests"))',
        'patch("{p}.{m}".format(p=__name__, m="requests"))',
        'patch("shop.%(m)s" % {"m": "requests"})',
        'patch(Template("shop.$m").substitute(m="requests"))',
        'patch("shop.api.requests.get shop.b.requests".split()[0])',
        'patch("shop" ".get")  # requests',
        't = "shop"\nt += ".requests.get"\npatch(t)',
        'for t, why in [("shop.x", "requests left")]: patch(t), print(why)',
        '@mark.skip(reason="requests is down")\ndef test(t): patch(t)',
        'M = "requests"\nprint(M + "/get")',
        'install = ["requests", "celery"]\nimport_module(name)',
        'd["requests"] + import_module(name)',
        'post(json={"requests": 1, "kind": "celery"})\npatch(f"{a}.b")',
        'NAME = "celery"\nurl = f"https://{NAME}.example"\npatch(x)',
        'patch("shop." + "requests" + ".get")',
        'patch(f"{__name__}.requests.get")',
        'M = "requests"\nclient.patch(M + ".json")',
        'M = "requests"\nqueue.patch(f"/{M}")\nimport_module(name)',
        '__title__ = "requests"\nimport_module(name)',
        'if "requests" in sys.modules: import_module(name)',
        'args.add("requests" + "/1")\nimport_module(name)',
        'patch("requests" + "_oauthlib.x")',
        'M = "requests"\npatch("{}.{}".format(__name__, M))',
        'x = "requests" + x\nx = x + "a"\nimport_module(n)',
        'setup(name="requests", install_requires=["celery"])\nimport_module(name)',
    ],
)  # fmt: skip
def test_a_word_that_names_no_module_is_not_warned_of(rewritten, source):
    for path in ("shop/api.py", "tests/test_api.py"):
        result = rewritten(f"{source}\n", path)

        assert f"{source}\n" == result.text.decode()
        assert [] == [one for one in result.outcome.findings if one.level == "warning"]


@pytest.mark.parametrize(
    "source",
    [
        'replaced("requests" + ".Session")',
        'M = "requests"\nreplaced(f"{M}.Session")',
        'M = "requests"\nreplaced("%s.Session" % M)',
        'M = "requests"\nreplaced("{}.Session".format(M))',
        'replaced(".".join(("requests", "Session")))',
        'TARGET = "requests" + ".Session"',
        'replaced("requests.%s" % "Session")',
    ],
)
def test_a_name_that_a_test_puts_together_for_other_code_is_warned_of(rewritten, source):
    result = rewritten(f"{source}\n", "tests/test_api.py")
    (finding,) = result.outcome.findings

    assert f"{source}\n" == result.text.decode()
    assert "a test may patch it, and it is not certain where it is used" in finding.message
    assert finding.blocks
    assert [] == rewritten(f"{source}\n", "shop/api.py").messages


@pytest.mark.parametrize(
    "source",
    [
        'M = "requests"\nsys.modules[M] = fake',
        'M = "requests"\nmp.setitem(sys.modules, M, fake)',
        'M = "requests"\npatch.dict(sys.modules, {M: fake})',
        'M = "requests"\npatch.dict("sys.modules", {M: fake})',
        'M = "requests"\nsys.modules.pop(M, None)',
        'sys.modules.pop("requests", None)',
        'sys.modules.setdefault("requests", fake)',
        'sys.modules.update({"requests": fake})',
        "sys.modules.update(requests=fake)",
        'sys.modules |= {"requests": fake}',
        'import sys as _sys\n_sys.modules["requests"] = fake',
        'patch.dict("sys.modules", requests=fake)',
        'patch.dict("sys.modules", dict(requests=fake))',
        'patch.dict(in_dict="sys.modules", values={"requests": fake})',
        'monkeypatch.setitem(dic=sys.modules, name="requests", value=fake)',
        'patch.object(sys.modules["requests"], "get")',
    ],
)
def test_a_module_that_is_replaced_in_sys_modules_is_warned_of(rewritten, source):
    for path in ("tests/test_api.py", "shop/api.py"):
        (finding,) = rewritten(f"{source}\n", path).outcome.findings

        assert ("warning", True) == (finding.level, finding.blocks)
        assert "`sys.modules['requests']` is the original" == finding.message


@pytest.mark.parametrize(
    ("source", "test"),
    [
        ('TARGET = "requests.get"', "from shop.names import TARGET\npatch(TARGET)"),
        ('TARGET = "requests.get"', "from .names import TARGET as T\nfor t in [T]: patch(t)"),
        ('TARGET = "requests.get"', "from shop import names\npatch(names.TARGET)"),
        ('TARGET = "requests.get"', "from shop import names as n\npatch(n.TARGET)"),
        ('TARGET = "requests.get"', "import shop.names as n\npatch(n.TARGET)"),
        ('TARGET = "requests.get"', "import shop.names\npatch(shop.names.TARGET)"),
        ('TARGETS = ["requests.get"]', "from shop.names import TARGETS\nfor t in TARGETS: patch(t)"),
        ('TARGETS = {\n    "get": "requests.get",\n}', "from shop.names import TARGETS\npatch(TARGETS['get'])"),
        ('MODULE = "requests"', 'from shop.names import MODULE\npatch(MODULE + ".get")'),
        ('MODULE = "requests"', "from shop.names import MODULE\nimport_module(MODULE)"),
        ('MODULE = "requests"', "from shop.names import MODULE\nsys.modules[MODULE] = fake"),
        ('M = "requests"\nTARGET = M + ".get"', "from shop.names import TARGET\npatch(TARGET)"),
        ('class Names:\n    GET = "requests.get"', "from shop.names import Names\npatch(Names.GET)"),
        ('class Names:\n    GET = "requests.get"', "from shop import names\npatch(names.Names.GET)"),
    ],
)  # fmt: skip
def test_a_constant_that_a_test_of_another_file_patches_is_warned_of(rewritten, source, test):
    result = rewritten(f"{source}\n", "shop/names.py", {"tests/test_a.py": f"{test}\n"})
    (finding,) = [one for one in result.outcome.findings if one.level == "warning"]

    assert f"{source}\n" == result.text.decode()
    assert "tests/test_a.py passes it to `" in finding.message
    assert ("name capa_requests by hand", True) == (finding.next_step, finding.blocks)


@pytest.mark.parametrize(
    "test",
    [
        "from shop.names import TARGET\nprint(TARGET)\npatch(other)",
        "from shop.other import TARGET\npatch(TARGET)",
        "from shop.names import OTHER as TARGET\npatch(TARGET)",
        "import other\npatch(other.TARGET)",
        "from shop.names import TARGET\npatch('x.y')\nclient.patch(TARGET)",
        "from shop.names import TARGET\npatch(TARGET",
    ],
)
def test_a_constant_that_no_test_patches_is_not_warned_of(rewritten, test):
    files = {
        "tests/test_a.py": f"# names\n{test}\n",
        "shop/x.py": "from shop.names import TARGET\npatch(TARGET)\n",
    }
    result = rewritten('TARGET = "requests.get"\n', "shop/names.py", files)

    assert [] == [one for one in result.outcome.findings if one.level == "warning"]


HELPER = "def loaded(module, name=''): return import_module(module)\n"


@pytest.mark.parametrize(
    ("source", "helper"),
    [
        ('from shop.helper import loaded\nloaded("requests")', HELPER),
        ('from .helper import loaded as l\nl("requests")', HELPER),
        ('from shop import helper\nhelper.loaded("requests")', HELPER),
        ('from shop import helper as h\nh.loaded(module="requests")', HELPER),
        ('import shop.helper\nshop.helper.loaded("requests", "x")', HELPER),
        ('import shop.helper as h\nh.loaded("requests")', HELPER),
        ('from .helper import loaded\nloaded("requests.exceptions")', HELPER),
        ('from .helper import put\nput("requests", "get")', 'def put(m, n): return patch(f"{m}.{n}")\n'),
        ('from .helper import put\nput(1, "requests")', "def put(n, m):\n    sys.modules[m] = n\n"),
    ],
)  # fmt: skip
def test_a_module_that_a_function_of_another_file_patches_or_imports_is_warned_of(rewritten, source, helper):
    for path in ("shop/api.py", "shop/test_api.py"):
        result = rewritten(f"{source}\n", path, {"shop/helper.py": helper, "shop/__init__.py": ""})
        (finding,) = [one for one in result.outcome.findings if one.level == "warning"]

        assert f"{source}\n" == result.text.decode()
        assert "of shop/helper.py passes it to `" in finding.message
        assert ("name capa_requests by hand", True) == (finding.next_step, finding.blocks)


@pytest.mark.parametrize(
    ("source", "helper"),
    [
        ('from shop.helper import loaded\nloaded("x", "requests")', HELPER),
        ('from shop.helper import other\nother("requests")', HELPER),
        ('from shop.other import loaded\nloaded("requests")', HELPER),
        ('loaded("requests")', HELPER),
        ('from shop.helper import loaded\nloaded({"requests": 1})', HELPER),
        ('from shop.helper import loaded\nloaded("requests")', "def loaded(m): return post(m)\nimport_module(x)\n"),
        ('from shop.helper import loaded\nloaded("requests")', "def loaded(m): return import_module(m\n"),
        ('from shop.helper import loaded\nloaded("requests")', "loaded = import_module\n"),
        ('from shop.helper import loaded\nloaded("requests", *a)', "def loaded(*m): return import_module(m[0])\n"),
    ],
)  # fmt: skip
def test_a_word_that_no_function_of_another_file_imports_is_not_warned_of(rewritten, source, helper):
    result = rewritten(f"{source}\n", "shop/api.py", {"shop/helper.py": helper, "shop/__init__.py": ""})

    assert [] == result.messages
