"""Each method and argument of Celery's public classes does the same on Celery and on Capa, is refused, or is listed."""

import itertools
import re
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import celery
import pytest
from celery.result import EagerResult, ResultBase
from celery_face import KINDS, Make, Method, messages, methods, values

import capa_celery
from capa_codemods.sdks.import_map_file import read_import_map
from capa_codemods.sdks.names import Names
from capa_core import Runtime, use_runtime
from capa_migration.rewrite.scan.judge import Judge

pytestmark = pytest.mark.skipif(celery.VERSION < (5, 7), reason="older versions lack some arguments")
JUDGE = Judge(Names([read_import_map(str(Path(capa_celery.__file__).with_name("import_map.toml")))]))
VARYING = re.compile(
    r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|0x[0-9a-f]+|\d{4}-\d\d-\d\d[T ][\d:.+]+|(?<=gen)\d+(?=@)"
)
METHODS = [method for method in methods() if method.kind != "celery.app.control.Inspect"]
Given = dict[str, Make]
ONLY_HERE = {
    (
        "celery.result.AsyncResult.get",
        "on_message",
    ): "served as with Celery's Redis backend; the one of the twin has none",
    ("celery.result.AsyncResult.wait", "on_message"): "the same",
}


def calls(method: Method) -> Iterator[tuple[str, Given]]:
    """Yield the calls of a method: with what it must have, and with each other argument in turn."""
    needed: Given = {}
    for one in method.parameters:
        if one.default is one.empty:
            needed[one.name] = next(iter(values(method, one)), None)  # type: ignore[assignment]
    yield "", needed
    for one in method.parameters:
        for value in values(method, one):
            yield one.name, {**needed, one.name: value}


def is_listed(method: Method, argument: str) -> bool:
    return JUDGE.of(method.path, [argument] if argument else [], ()).support != "full"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path)
def test_each_argument_has_a_value(method: Method) -> None:
    unknown = [one.name for one in method.parameters if not values(method, one)]

    assert [] == unknown, "give them a value in celery_face.py, and see what they do on Capa"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path)
def test_a_method_does_the_same_on_both_sides(
    make_tasks: Callable[[type], Any], method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # for what Celery asks of the current application
    for argument, given in calls(method):
        if is_listed(method, argument) or (method.path, argument) in ONLY_HERE:
            continue
        theirs = outcome(make_tasks(celery.Celery), method, given)
        with use_runtime(Runtime.in_memory()):
            ours = outcome(make_tasks(capa_celery.Celery), method, given)
        where = f"{method.path}({argument})"

        assert (where, theirs) == (where, ours)


def outcome(app: Any, method: Method, given: Given) -> Any:
    """Call a method, and return what it gives, raises and publishes, without what differs in each call."""
    owner = KINDS[method.kind][1](app)
    called = type(owner) if method.name == "__init__" else getattr(owner, method.name)
    try:
        result, published = messages(lambda: called(**{name: make(app) for name, make in given.items()}))
        return plain(result), plain(published)
    except BaseException as error:
        return plain(error)


def plain(value: Any, depth: int = 8) -> Any:
    """Return a value of which those of both sides can be compared."""
    if depth == 0:
        return "…"
    if isinstance(value, str):
        return VARYING.sub("<varies>", value.replace("capa_celery", "celery"))
    if value is None or isinstance(value, bool | int | bytes):
        return value
    if isinstance(value, float):
        return float(f"{value:.3g}")  # a time that is left
    if isinstance(value, BaseException):
        return type(value).__name__, plain(str(value))
    return _plain_parts(value, depth - 1)


def _plain_parts(value: Any, depth: int) -> Any:
    if isinstance(value, ResultBase) and not isinstance(value, EagerResult):
        return type(value).__name__, plain(value.as_tuple(), depth)
    if isinstance(value, Mapping):
        return {plain(str(name)): plain(each, depth) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset | types.GeneratorType):
        return [plain(each, depth) for each in itertools.islice(value, 100)]
    if hasattr(value, "__enter__"):
        return "a context"
    return plain(getattr(value, "__qualname__", type(value).__qualname__))
