"""A name that a test replaces with a mock or a subclass has the effect that it has in Celery."""

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest import mock

import celery
import pytest

import capa_celery
from capa_core import Runtime, use_runtime

MODULES = {"celery": capa_celery.__all__, "celery.app.base": ["Celery"]}
NAMES = [(module, name) for module, names in MODULES.items() for name in names]


def shared() -> int:
    """Return a number; no lambda, since every later application of this process gets the task, and needs its name."""
    return 1


def _steps(app: Any) -> dict[str, Callable[[ModuleType], Any]]:
    add = app.task(lambda x, y: x + y, name="add", shared=False)
    return {
        "a new application": lambda lib: lib.Celery("new", set_as_current=False).main,
        "a task": lambda lib: add.apply((1, 2)).get(),
        "sending": lambda lib: bool(add.delay(1, 2).id),
        "sending by name": lambda lib: bool(app.send_task("elsewhere", (1,)).id),
        "canvas": lambda lib: lib.chain(add.s(1, 2), add.s(3)).apply().get(),
        "a group": lambda lib: lib.group(add.s(1, 2), add.s(3, 4)).apply().get(),
        "a shared task": lambda lib: lib.shared_task(shared, name="shared")(),
        "the current application": lambda lib: type(lib.current_app._get_current_object()).__name__,
    }


def _replacements(value: Any) -> Iterator[Any]:
    yield mock.Mock(side_effect=value) if callable(value) and not isinstance(value, type) else mock.Mock()
    if type(value) is type:
        yield type(value.__name__, (value,), {})


def _effects(library: ModuleType, module: str, name: str) -> list[tuple[str, Any]]:
    owner, effects = import_module(module), []
    app = library.Celery("proj", broker="memory://", backend="cache+memory://", set_as_current=False)
    steps = _steps(app)
    for replacement in _replacements(getattr(owner, name)):
        for label, step in steps.items():
            with mock.patch.object(owner, name, replacement):
                try:
                    outcome = step(library)
                except Exception as error:
                    outcome = type(error)
            effects.append((label, "mocked" if isinstance(outcome, mock.Mock) else outcome))
    return effects


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_replaced_name_has_the_effect_that_it_has_in_celery(module: str, name: str) -> None:
    original = _effects(celery, module, name)
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        shim = _effects(capa_celery, f"capa_{module}", name)

    assert original == shim
