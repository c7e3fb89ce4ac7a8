"""Call services by name, and be one."""

from capa_core.blocks.invocation._portable import Invocation
from capa_core.blocks.invocation._served import Served
from capa_core.blocks.invocation._service import Application, Call, Service
from capa_core.blocks.invocation.driver import (
    InvocationDriver,
    InvocationFeature,
    InvocationRequest,
    InvocationResponse,
)

__all__ = [
    "Application",
    "Call",
    "Invocation",
    "InvocationDriver",
    "InvocationFeature",
    "InvocationRequest",
    "InvocationResponse",
    "Served",
    "Service",
]
