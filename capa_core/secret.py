"""Secrets: texts that are not printed, logged or serialised, and addresses without theirs."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Self, final

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_MASK = "********"


@final
class Secret:
    """A text that only `reveal` returns; `print`, logs, tracebacks, JSON, pickles and settings dumps do not show it.

    Two are equal if their texts are; the time of a comparison does not depend on where they differ. Pydantic models
    can have fields of this type: they accept a text, and dump the mask.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the text. Pass it on at once, and keep only the `Secret`."""
        return self.__text

    def __repr__(self) -> str:
        return f"Secret({_MASK!r})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self.__text), _bytes(other.__text))

    def __hash__(self) -> int:
        return hash((Secret, self.__text))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a Secret cannot be pickled, since a pickle would reveal it. Pass its name instead, and read it at its use."
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.union_schema(
            [
                core_schema.is_instance_schema(cls),
                core_schema.no_info_after_validator_function(cls, core_schema.str_schema()),
            ],
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )


@final
class FreshSecret:
    """A secret that is read anew at each use: one that is rotated needs no restart.

    Settings can have fields of this type. A text is a constant; of one with references, such as `${secret:name}`, the
    runtime makes a `FreshSecret` that resolves them at each use.
    """

    __slots__ = ("__read",)

    def __init__(self, read: Callable[[], Secret]) -> None:
        self.__read = read

    def current(self) -> Secret:
        """Return the present secret.

        Raises:
            SettingsError: There is none of that name.
            UnavailableError: The store of secrets did not answer.
        """
        return self.__read()

    def __repr__(self) -> str:
        return f"FreshSecret({_MASK!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.union_schema(
            [
                core_schema.is_instance_schema(cls),
                core_schema.no_info_after_validator_function(_constant, core_schema.str_schema()),
            ],
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: _MASK),
        )


def without_credentials(address: str) -> str:
    """Return *address* without its credentials and query, safe to show even if it is malformed."""
    scheme, mark, rest = address.partition("://")
    shown = (rest if mark else scheme).rpartition("@")[2].partition("?")[0]
    return f"{scheme}{mark}{shown}" if mark else shown


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # an environment variable may hold bytes that are not text


def _constant(text: str) -> FreshSecret:
    secret = Secret(text)
    return FreshSecret(lambda: secret)
