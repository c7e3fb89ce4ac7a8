"""Random programs with SDKs in odd places: the rewrite is proven or refused, and never wrong."""

from __future__ import annotations

import ast
import random
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pysource_codegen
from rewrite_safety.libraries import moves
from rewrite_safety.oracle import Oracle, is_outside_kept

from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules import all_rules
from capa_codemods.sdks.import_map_file import read_import_map
from capa_codemods.sdks.names import Names
from capa_codemods.write.splice import splice

NODES = 400
FORMS = (
    "import requests", "import requests as name_0", "import requests.exceptions", "import name_1, requests, name_2",
    "import requests.exceptions as name_3, requests.adapters", "from requests import get, Session as name_4",
    "from requests import (\n  get,  # one\n  post,\n)", "from requests.exceptions import *", "import requests; name_0",
    "from celery import Celery, shared_task", "import celery.app.task, requests", "from . import requests",
    "from .requests import get", "name_0 = __import__('requests')", "patch('requests.get', name_1)",
    "patch('requests.sessions.Session.send')", "import_string('celery.Celery')", "'requests.get'",
    "f'requests.{name_0}'",
    "from kombu import Queue\nimport requests", "import \\\n requests", "def requests(): pass", "requests = name_0",
    "sys.modules['requests'] = name_1", "importlib.import_module('requests.adapters')",
)  # fmt: skip


def program(seed: int) -> str:
    """Return a random program that some of the SDKs have been put into, and where some names are theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its intermediate attempts
        source = pysource_codegen.generate(seed, node_limit=NODES, depth_limit=6)
        tree = ast.parse(source)
    chance = random.Random(seed)
    lines = source.split("\n")
    starts = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt) and _begins(node, lines)}
    for line in sorted(chance.sample(sorted(starts), min(len(starts), 8)), reverse=True):
        indent = re.match(r"[ \t]*", lines[line - 1])[0]
        lines[line - 1 : line - 1] = [indent + part for part in chance.choice(FORMS).split("\n")]
    text = "\n".join(lines)
    if chance.random() < 0.5:
        text = re.sub(r"\bname_5\b", "requests", text)
    return text


def _begins(node: ast.stmt, lines: Sequence[str]) -> bool:
    """Return whether a line may be put before *node*: it begins its line, and no longer statement has it."""
    return not getattr(node, "decorator_list", ()) and not lines[node.lineno - 1][: node.col_offset].strip()


def judge(seeds: Iterable[int], maps: Sequence[str]) -> Counter[str]:
    """Rewrite the program of each of *seeds* with the import *maps* and count the outcomes."""
    rewrite = Rewrite(Project("/no/such/tree", Names(map(read_import_map, maps)), []), all_rules())
    oracle = Oracle(moves([Path(path).read_text() for path in maps]))
    counts: Counter[str] = Counter()
    for seed in seeds:
        counts.update(["programs", _outcome(rewrite, oracle, program(seed).encode(), seed)])
    return counts


def _outcome(rewrite: Rewrite, oracle: Oracle, data: bytes, seed: int) -> str:
    outcome = rewrite.examine_data("program.py", data)
    if outcome.status != "changed":
        unproven = outcome.reason.startswith("the rewrite could not be proven")
        return (
            "could not be proven" if unproven else {"failed": "refused"}.get(outcome.status, outcome.status)
        )
    new = splice(data, outcome.edits)
    if not is_outside_kept(data, new, outcome.edits):
        return "changed outside edits"
    if found := oracle.difference(data, new):
        print(f"  seed {seed}: {found[:300]}", flush=True)
        return "wrong"
    return "changed" if not rewrite.examine_data("program.py", new).edits else "changed twice"
