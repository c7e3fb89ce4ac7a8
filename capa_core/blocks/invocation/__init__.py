"""Invocation: call services by name, and serve methods."""

from capa_core.block import Block, Closing
from capa_core.blocks.invocation._outgoing import HOP_BY_HOP
from capa_core.blocks.invocation._portable import Invocation
from capa_core.blocks.invocation._served import Served
from capa_core.blocks.invocation._service import Application, Call, Service
from capa_core.blocks.invocation.driver import (
    EndpointStatus,
    InvocationDriver,
    InvocationFeature,
    InvocationLimits,
    InvocationRequest,
    InvocationResponse,
)

__all__ = [
    "BLOCK",
    "HOP_BY_HOP",
    "Application",
    "Call",
    "EndpointStatus",
    "Invocation",
    "InvocationDriver",
    "InvocationFeature",
    "InvocationLimits",
    "InvocationRequest",
    "InvocationResponse",
    "Served",
    "Service",
]

BLOCK = Block(
    name="invocation",
    portable=Invocation,
    driver=InvocationDriver,
    features=InvocationFeature,
    embedded="http",
    closing=Closing.INTAKE,
    face=("Invocation", "Service"),
    one_per="service",
)
