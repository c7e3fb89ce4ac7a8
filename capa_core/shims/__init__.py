"""The adapter kit: parts of every adapter of a legacy SDK.

An adapter keeps the installed original's front half and replaces its back half. It takes from here:

- `Sdk`: the SDK as the adapter's import map declares it, written into `_sdk.py` by `capa_core.shims.generate`;
- `alias`, `mirror`: modules of the adapter that are, or stand in front of, modules of the original;
- `AttributeSnapshot`, `MethodSnapshot`: whether mocks and instrumentation have replaced functions of the original;
- `missing_original`, `unsupported_original`: the errors for an original that is not installed or not supported;
  `is_within` compares its version;
- `PerRuntime`, `logical_name`: the runtime's components behind a legacy address;
- `capa_core.shims.backlog`: the messages that wait in a broker of the original, to be moved;
- `capa_core.shims.elsewhere`: the warning for an address that something else serves than it says;
- `not_served`: the error for a part of the SDK that Capa does not serve, and `details`, the command that says more;
- `Side`, and in `capa_core.shims.settings` the table that holds it: whether Capa or the original serves the calls.

Importing it imports neither the runtime nor pydantic: an adapter costs its program little more than the original.
"""

from capa_core.shims._binding import PerRuntime, current_runtime, first_address, logical_name, scheme_of
from capa_core.shims._errors import details, missing_original, not_served, unsupported_original
from capa_core.shims._modules import alias, mirror
from capa_core.shims._originals import AttributeSnapshot, MethodSnapshot, with_signature_of
from capa_core.shims._sdk import Sdk
from capa_core.shims._side import Side
from capa_core.shims._versions import is_within

__all__ = [
    "AttributeSnapshot",
    "MethodSnapshot",
    "PerRuntime",
    "Sdk",
    "Side",
    "alias",
    "current_runtime",
    "details",
    "first_address",
    "is_within",
    "logical_name",
    "mirror",
    "missing_original",
    "not_served",
    "scheme_of",
    "unsupported_original",
    "with_signature_of",
]
