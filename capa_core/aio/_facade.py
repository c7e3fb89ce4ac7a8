"""The facade over a blocking object: coroutines for its methods, async iterators for iterators, all else unchanged."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from inspect import isgeneratorfunction, signature
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from capa_core.aio._calls import closing, in_thread, iterating, waiting
from capa_core.aio._handlers import LoopHandler, adapted
from capa_core.call.traits import CallTraits, facade_name, traits_of

T = TypeVar("T")


class Facade:
    """A blocking object for async code. Made by `capa_core.aio`, not by users."""

    types: ClassVar[dict[str, type[Facade]]] = {}
    """Facade classes by name: those written by hand, and those made on first use."""

    def __init_subclass__(cls) -> None:
        Facade.types.setdefault(cls.__name__, cls)

    def __init__(self, blocking: Any) -> None:
        self._hold(blocking)

    @classmethod
    def over(cls, blocking: Any) -> Self:
        """Return the facade over *blocking*, without calling `__init__` of this class."""
        made = cls.__new__(cls)
        made._hold(blocking)
        return made

    def _hold(self, blocking: Any) -> None:
        self._blocking = blocking

    @property
    def blocking(self) -> Any:
        """The object itself, for code in threads."""
        return self._blocking

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        attribute = getattr(self._blocking, name)
        if getattr(attribute, "__self__", None) is not self._blocking:
            return iterating(lambda: attribute) if isinstance(attribute, Iterator) else wrapped(attribute)
        return partial(_called, attribute, traits_of(type(self._blocking), name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Facade) and self._blocking is other._blocking

    def __hash__(self) -> int:
        return hash(self._blocking)

    def __repr__(self) -> str:
        return f"<async {self._blocking!r}>"


class ClosableFacade(Facade):
    """The facade over an object that is a context manager, which leaves it by closing it."""

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await closing(partial(self._blocking.__exit__, kind, error, trace))


class Opening(Coroutine[Any, Any, T], AbstractAsyncContextManager[T]):
    """A call that opens something: awaited, it returns that; as the head of `async with`, it closes it at the end."""

    def __init__(self, call: Coroutine[Any, Any, Any]) -> None:
        self._call = call
        self._opened: Any = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._call.__await__()

    def send(self, value: Any) -> Any:
        """Resume the coroutine."""
        return self._call.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise in the coroutine."""
        return self._call.throw(*error)

    def close(self) -> None:
        """End the coroutine."""
        self._call.close()

    async def __aenter__(self) -> T:
        self._opened = await self._call
        return await self._opened.__aenter__()  # type: ignore[no-any-return]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.__aexit__(kind, error, trace)


def wrapped(value: Any) -> Any:
    """Return the facade over *value* if it blocks, else *value*."""
    name = facade_name(type(value))
    return facade_type(type(value)).over(value) if name else value


def facade_type(blocking: type) -> type[Facade]:
    """Return the class of facades over *blocking*."""
    name = facade_name(blocking)
    if name not in Facade.types:
        base = ClosableFacade if hasattr(blocking, "__exit__") else Facade
        type(name, (base,), {"__module__": "capa_core.aio", "__doc__": blocking.__doc__})  # registers itself
    return Facade.types[name]


def unwrapped(value: Any) -> Any:
    """Return the blocking object behind a facade, or *value*."""
    return value._blocking if isinstance(value, Facade) else value


def iterates(method: Callable[..., Any]) -> bool:
    """Return whether *method* returns an iterator: a generator, or annotated so."""
    returned = str(method.__annotations__.get("return", ""))
    return isgeneratorfunction(method) or returned.startswith(("Iterator[", "Generator["))


def _called(method: Callable[..., Any], traits: CallTraits, /, *args: Any, **kwargs: Any) -> Any:
    args = tuple(map(unwrapped, args))
    kwargs = {name: unwrapped(value) for name, value in kwargs.items()}
    if traits.immediate:
        return wrapped(method(*args, **kwargs))
    if iterates(method):
        return iterating(partial(method, *args, **kwargs))
    coroutine = _awaited(method, traits, args, kwargs)
    return Opening(coroutine) if traits.opens else coroutine


async def _awaited(
    method: Callable[..., Any], traits: CallTraits, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    handler = None
    if traits.handler:
        bound = signature(method).bind(*args, **kwargs)
        handler = adapted(bound.arguments.get(traits.handler), wrapped)
        bound.arguments[traits.handler] = handler
        args, kwargs = bound.args, bound.kwargs
    undo = getattr(method.__self__, traits.undo) if traits.undo else _leave  # type: ignore[attr-defined]
    call = partial(method, *args, **kwargs)
    result = await (waiting(call, undo) if traits.waits else in_thread(call, undo))
    if isinstance(handler, LoopHandler):
        handler.serves(result)
    return wrapped(result)


def _leave(result: Any) -> None:
    """Close the object that a call opened for a caller that was cancelled."""
    if facade_name(type(result)) and hasattr(result, "__exit__"):
        result.__exit__(None, None, None)
