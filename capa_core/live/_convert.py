"""Conversion of texts to the type of an annotation."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_origin

from capa_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_SEQUENCES = (list, set, frozenset, tuple)


def convert(text: str, kind: Any, label: str) -> Any:
    """Return *text* as a *kind*: numbers, truth values (`on`, `yes`, `1`, …), enums, dates; lists by commas or JSON.

    Raises:
        InvalidArgumentError: It does not fit; the message has *label* and not the text, which may be a secret.
    """
    if kind in (str, Any):
        return text
    if kind is bytes:
        return text.encode()
    return validated(_parted(text, kind), kind, label)


def from_json(text: str, kind: Any, label: str) -> Any:
    """Return the JSON *text* as a *kind*.

    Raises:
        InvalidArgumentError: It is not JSON, or does not fit; the message has *label* and not the text.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InvalidArgumentError(f"{label}: not JSON ({error}). Correct the value.") from None
    return data if kind is Any else validated(data, kind, label)


def validated(data: Any, kind: Any, label: str) -> Any:
    """Return *data* as a *kind*: any type that pydantic knows, from `int` to nested dataclasses and models.

    Raises:
        InvalidArgumentError: It does not fit, or pydantic does not know *kind*.
    """
    from pydantic import PydanticSchemaGenerationError, ValidationError

    try:
        return _adapter(kind).validate_python(data)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'value'}: {each['msg']}"
            for each in error.errors(include_input=False)
        )
        raise InvalidArgumentError(f"{label}: {faults}. Correct the value, or the annotation.") from None
    except PydanticSchemaGenerationError:
        raise InvalidArgumentError(
            f"{label}: values cannot be made into {kind!r}. Annotate a type that pydantic knows, such as a dataclass."
        ) from None


def converter(kind: Any, *, is_json: bool) -> Callable[[str, str], Any]:
    """Return `convert` or `from_json` for *kind*, with the text and its label as arguments."""
    by = from_json if is_json else convert
    return lambda text, label: by(text, kind, label)


def _adapter(kind: Any) -> TypeAdapter[Any]:
    try:
        return _known_adapter(kind)
    except TypeError:  # not hashable, such as Annotated[int, []]
        return _new_adapter(kind)


def _new_adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


_known_adapter = lru_cache(maxsize=1024)(_new_adapter)


def _parted(text: str, kind: Any) -> Any:
    origin = get_origin(kind) or kind
    if origin is dict or (origin in _SEQUENCES and text.lstrip().startswith("[")):
        try:
            return json.loads(text or "{}")
        except ValueError:
            return text
    if origin in _SEQUENCES:
        return [part.strip() for part in text.split(",")] if text.strip() else []
    if not text and type(None) in get_args(kind) and str not in get_args(kind):
        return None
    return text
