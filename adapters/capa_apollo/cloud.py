"""`cloud_config`: a whole namespace, or a part of it, as an object that is always up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capa_apollo._space import Namespace, own_space
from capa_core.live import Configured

if TYPE_CHECKING:
    from capa_core.runtime import Runtime


def cloud_config(
    namespace: str = "application", kind: Any = None, *, prefix: str = "", app_id: str = "", cluster: str = ""
) -> Configured[Any]:
    """Read a namespace into a dataclass, a pydantic model or a plain annotated class; live.

        @cloud_config("testjson.json")
        @dataclass
        class Limits:                                  # Limits() is live: each read of an attribute is of the newest
            max_connections: int = 10
            hosts: list[str] = field(default_factory=list)

        class Service:
            limits: Limits = cloud_config("testjson.json")         # the newest Limits, whole

        database = cloud_config("application", Database, prefix="shop.db")
        database.get()

    It is `capa_core.live.configured` with Apollo's names.

    Args:
        kind: The type, where there is no annotation.
        prefix: Only the keys below this dotted one.
        app_id: The owner of the namespace; by default the one of `[adapters.apollo]`.
        cluster: The variant; by default the one of `[adapters.apollo]`.

    Raises:
        InvalidArgumentError: When first read: the namespace does not fit the type.
    """

    def source(runtime: Runtime) -> Namespace:
        return Namespace(own_space(runtime, app_id, cluster), namespace)

    return Configured(source, kind, prefix=prefix, label=f"cloud_config({namespace!r})")
