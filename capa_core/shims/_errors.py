"""The errors that every adapter has: no original, an unsupported original, a part that is not served."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from capa_core.shims._sdk import ANY, Sdk
from capa_core.shims._versions import is_within

if TYPE_CHECKING:
    from capa_core.errors import MissingExtraError, UnsupportedError


def missing_original(sdk: Sdk, missing: ModuleNotFoundError) -> MissingExtraError:
    """Return the error for an adapter whose original, or a library below it, cannot be imported."""
    from capa_core.errors import MissingExtraError
    from capa_core.installing import extra_command

    return MissingExtraError(
        f"{sdk.package} needs the library {missing.name!r}. Run: {extra_command(sdk.extra)}"
    )


def unsupported_original(sdk: Sdk) -> MissingExtraError | None:
    """Return the error for an adapter whose original has been imported in an unsupported version, else `None`.

    An original that declares no `__version__` is taken as supported.
    """
    for root, required in ((sdk.root, sdk.versions), *sdk.dependencies.items()):
        found = getattr(sys.modules.get(root), "__version__", None)
        if required != ANY and found is not None and not is_within(str(found), required):
            from capa_core.errors import MissingExtraError

            return MissingExtraError(
                f"{sdk.package} supports {root} {required}, and {root} {found} is installed."
                f" Run: pip install '{root}{required}'"
            )
    return None


def details(sdk: Sdk, section: str) -> str:
    """Return the words that name the command which prints *section* of the differences between SDK and adapter.

    An installed adapter has no pages of documentation beside it; the command has them.
    """
    return f"`capa explain {sdk.name}/{section}` has the details"


def not_served(sdk: Sdk, part: str, *, instead: str, section: str) -> UnsupportedError:
    """Return the error for a *part* of the SDK that Capa does not serve.

    Args:
        part: Names the part; the message begins with it.
        instead: The next step, as a sentence.
        section: As for `details`.
    """
    from capa_core.errors import UnsupportedError

    return UnsupportedError(f"{part} is not served by {sdk.package}. {instead} {details(sdk, section)}.")
