# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Every form of import statement that real repositories use, before and after."""

from __future__ import annotations

import pytest

from capa_codemods.file_rewrite import FileRewrite
from capa_codemods.findings import Edit
from capa_codemods.proof import flaw_of
from capa_codemods.read.python_file import PythonFile


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import requests", "import capa_requests as requests"),
        ("import requests as r", "import capa_requests as r"),
        ("import requests as requests", "import capa_requests as requests"),
        ("import requests.exceptions", "import capa_requests.exceptions, capa_requests as requests"),
        ("import requests.exceptions as rex", "import capa_requests.exceptions as rex"),
        ("import requests.exceptions as requests", "import capa_requests.exceptions as requests"),
        ("import os, requests, celery as c", "import os, capa_requests as requests, capa_celery as c"),
        (
            "import requests, requests.exceptions",
            "import capa_requests as requests, capa_requests.exceptions",
        ),
        (
            "import requests\nimport requests.exceptions\nimport requests.adapters as a",
            "import capa_requests as requests\nimport capa_requests.exceptions\nimport capa_requests.adapters as a",
        ),
        (
            "import os\nimport requests.exceptions\n# why\nfrom celery import Celery\nimport requests.adapters",
            (
                "import os\nimport capa_requests.exceptions, capa_requests as requests\n# why\n"
                "from capa_celery import Celery\nimport capa_requests.adapters"
            ),
        ),
        (
            "def f():\n    import requests\n    import requests.exceptions",
            "def f():\n    import capa_requests as requests\n    import capa_requests.exceptions",
        ),
        (
            "import requests; import requests.exceptions",
            "import capa_requests as requests; import capa_requests.exceptions",
        ),
        ("from requests import get", "from capa_requests import get"),
        ("from requests import get as g, post", "from capa_requests import get as g, post"),
        ("from requests import *", "from capa_requests import *"),
        ("from requests import exceptions", "from capa_requests import exceptions"),
        ("from requests.exceptions import HTTPError", "from capa_requests.exceptions import HTTPError"),
        ("from celery.utils.log import get_task_logger", "from capa_celery.utils.log import get_task_logger"),
        ("from requests.adapters import Retry", "from capa_requests.retries import Retry"),
        ("from requests.adapters import Retry as R", "from capa_requests.retries import Retry as R"),
        (
            "from requests.adapters import HTTPAdapter, Retry",
            "from capa_requests.adapters import HTTPAdapter\nfrom capa_requests.retries import Retry",
        ),
        (
            "from celery import chain, security as s",
            "from capa_celery import chain\nfrom celery import security as s",
        ),
        (
            "from requests import get, packages",
            "from capa_requests import get\nfrom requests import packages",
        ),
        (
            "from requests import get, packages, post as p",
            "from capa_requests import get\nfrom requests import packages\nfrom capa_requests import post as p",
        ),
        (
            "from requests import (get,\n    packages)",
            "from capa_requests import get\nfrom requests import packages",
        ),
        (
            "x = 1; from requests import get, packages",
            "x = 1; from capa_requests import get; from requests import packages",
        ),
        (
            "if x: from requests import get, packages",
            "if x: from capa_requests import get; from requests import packages",
        ),
        ("import requests; import os", "import capa_requests as requests; import os"),
        ("import requests  # noqa: F401", "import capa_requests as requests  # noqa: F401"),
        (
            "from requests import (  # why\n    get,  # a\n    post,\n)",
            "from capa_requests import (  # why\n    get,  # a\n    post,\n)",
        ),
        ("from requests \\\n    import get", "from capa_requests \\\n    import get"),
        ("from \\\n    requests import get", "from \\\n    capa_requests import get"),
        ("from requests . exceptions import HTTPError", "from capa_requests.exceptions import HTTPError"),
        ("import requests \\\n  . exceptions as e", "import capa_requests.exceptions as e"),
        ("import os, \\\n    requests", "import os, \\\n    capa_requests as requests"),
        ("from requests import get;", "from capa_requests import get;"),
        (
            "def f():\n    import requests\n    return requests.get",
            "def f():\n    import capa_requests as requests\n    return requests.get",
        ),
        ("async def f():\n\timport requests", "async def f():\n\timport capa_requests as requests"),
        ("class A:\n    import requests", "class A:\n    import capa_requests as requests"),
        (
            "if TYPE_CHECKING:\n    from requests import Session\nelse:\n    import requests",
            "if TYPE_CHECKING:\n    from capa_requests import Session\nelse:\n    import capa_requests as requests",
        ),
        (
            "try:\n    import requests\nexcept ImportError:\n    requests = None",
            "try:\n    import capa_requests as requests\nexcept ImportError:\n    requests = None",
        ),
        (
            "try:\n    pass\nexcept* ValueError:\n    import requests\nelse:\n    import celery\nfinally:\n    import requests as r",
            (
                "try:\n    pass\nexcept* ValueError:\n    import capa_requests as requests\nelse:\n    import capa_celery as celery\n"
                "finally:\n    import capa_requests as r"
            ),
        ),
        (
            "with a:\n    import requests\nfor x in y:\n    import requests\nelse:\n    import requests",
            (
                "with a:\n    import capa_requests as requests\nfor x in y:\n    import capa_requests as requests\n"
                "else:\n    import capa_requests as requests"
            ),
        ),
        (
            "match x:\n    case 1:\n        import requests",
            "match x:\n    case 1:\n        import capa_requests as requests",
        ),
        ("while x: import requests", "while x: import capa_requests as requests"),
    ],
)
def test_import_moves_and_binds_the_same(rewritten, before, after):
    result = rewritten(f"{before}\n")

    assert f"{after}\n" == result.text.decode()
    assert "changed" == result.outcome.status


BOTH = "import capa_requests.exceptions, capa_requests as requests"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Something between them may bind the name to something else.
        (
            "import requests\nrequests = 1\nimport requests.exceptions",
            f"import capa_requests as requests\nrequests = 1\n{BOTH}",
        ),
        (
            "import requests\nimport x as requests\nimport requests.exceptions",
            f"import capa_requests as requests\nimport x as requests\n{BOTH}",
        ),
        (
            "import requests\nfrom x import requests\nimport requests.exceptions",
            f"import capa_requests as requests\nfrom x import requests\n{BOTH}",
        ),
        (
            "import requests\nfrom x import *\nimport requests.exceptions",
            f"import capa_requests as requests\nfrom x import *\n{BOTH}",
        ),
        (
            "import requests\nfrom requests import *\nimport requests.exceptions",
            f"import capa_requests as requests\nfrom capa_requests import *\n{BOTH}",
        ),
        (
            "import requests  # capa: ignore\nimport requests.exceptions",
            f"import requests  # capa: ignore\n{BOTH}",
        ),
        # Neither block runs only if the other does.
        (
            "import requests\nif x:\n    import requests.exceptions",
            f"import capa_requests as requests\nif x:\n    {BOTH}",
        ),
        (
            "if x:\n    import requests\nelse:\n    import requests.exceptions",
            f"if x:\n    import capa_requests as requests\nelse:\n    {BOTH}",
        ),
        ("import requests.foo\nimport requests.exceptions", f"import requests.foo\n{BOTH}"),
        (
            "lazy import requests\nimport requests.exceptions",
            f"lazy import capa_requests as requests\n{BOTH}",
        ),
    ],
)
def test_root_is_bound_again_unless_an_import_right_before_has_bound_it(rewritten, before, after):
    assert f"{after}\n" == rewritten(f"{before}\n").text.decode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "import requests\nx = 1\nimport requests.exceptions\n",
            "import capa_requests as requests\nx = 1\nimport capa_requests.exceptions\n",
        ),
        ("import requests.exceptions\n", "import capa_requests.exceptions\n"),
        (
            "import requests\nimport requests.exceptions\n",
            "import requests\nimport capa_requests.exceptions\n",
        ),
        (
            "import celery\nimport requests.exceptions\n",
            "import capa_celery as celery\nimport capa_requests.exceptions\n",
        ),
        (
            "import requests\nimport x as requests\nimport requests.exceptions\n",
            "import capa_requests as requests\nimport x as requests\nimport capa_requests.exceptions\n",
        ),
        (
            "import requests\nfrom x import *\nimport requests.exceptions\n",
            "import capa_requests as requests\nfrom x import *\nimport capa_requests.exceptions\n",
        ),
        (
            "if y: import requests\nimport requests.exceptions\n",
            "if y: import capa_requests as requests\nimport capa_requests.exceptions\n",
        ),
    ],
)
def test_proof_refuses_a_root_that_is_not_bound_right_before(names, old, new):
    edits = [Edit(0, len(old), new.encode(), "test")]

    assert flaw_of(FileRewrite(PythonFile("a.py", old.encode()), (), tuple(edits), new.encode()), names)


def test_nested_package_of_the_adapter_is_bound_under_the_old_root(rewritten):
    files = {"requirements.txt": "pyapollo\n"}

    result = rewritten("import pyapollo.apollo_client\n", files=files)

    assert b"import capa_apollo.pyapollo.apollo_client, capa_apollo.pyapollo as pyapollo\n" == result.text


@pytest.mark.parametrize("path", ["a.py", "a.pyi", "a.pyw", "deep/er/a.py"])
def test_stubs_and_scripts_are_python_too(rewritten, path):
    result = rewritten("import requests\n", path)

    assert b"import capa_requests as requests\n" == result.text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"import requests\r\nx = 1\r\n", b"import capa_requests as requests\r\nx = 1\r\n"),
        (b"x = 1\rimport requests\ry = 2\n", b"x = 1\rimport capa_requests as requests\ry = 2\n"),
        (b"import requests", b"import capa_requests as requests"),
        (b"\xef\xbb\xbfimport requests\n", b"\xef\xbb\xbfimport capa_requests as requests\n"),
        (
            b"\x0cimport requests\n\x0c\nimport celery\n",
            b"\x0cimport capa_requests as requests\n\x0c\nimport capa_celery as celery\n",
        ),
        (
            b"# coding: latin-1\nx = '\xe9'; import requests\n",
            b"# coding: latin-1\nx = '\xe9'; import capa_requests as requests\n",
        ),
        (
            "# coding: utf-8\nx = 'é→'; import requests\n".encode(),
            "# coding: utf-8\nx = 'é→'; import capa_requests as requests\n".encode(),
        ),
        (
            "# coding: cp1251\nж = 'ж'; import requests\n".encode("cp1251"),
            "# coding: cp1251\nж = 'ж'; import capa_requests as requests\n".encode("cp1251"),
        ),
        (
            "# coding: shift_jis\nx = '表'; import requests\n".encode("shift_jis"),
            "# coding: shift_jis\nx = '表'; import capa_requests as requests\n".encode("shift_jis"),
        ),
        (b"x = 1  \nimport requests   \n\n\n", b"x = 1  \nimport capa_requests as requests   \n\n\n"),
        (
            b"try :\n  import requests\nexcept OSError :pass\n",
            b"try :\n  import capa_requests as requests\nexcept OSError :pass\n",
        ),
        (
            b"from requests import get, packages\r\n",
            b"from capa_requests import get\r\nfrom requests import packages\r\n",
        ),
    ],
)
def test_bytes_outside_the_edit_are_kept(rewritten, before, after):
    assert after == rewritten(before).text


def test_change_names_its_line_and_both_texts(rewritten):
    (change,) = rewritten("x = 1\n  \nimport os, requests  # why\n").outcome.changes

    assert ("imports", 3) == (change.rule, change.line)
    assert ("import os, requests  # why", "import os, capa_requests as requests  # why") == (
        change.before,
        change.after,
    )
