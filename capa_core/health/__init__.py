"""Health of a process for orchestrators, and its metrics for a Prometheus, as applications for any WSGI or ASGI server.

from capa_core.health import WsgiHealth
application = WsgiHealth()

GET /health    200 if every component answers, 503 if not; JSON that names each
GET /metrics   the metrics, if capa.toml has a [telemetry.<name>] with driver = "prometheus"
"""

from capa_core.health._asgi import AsgiHealth
from capa_core.health._check import Checker, ComponentHealth, Health
from capa_core.health._wsgi import WsgiHealth

__all__ = ["AsgiHealth", "Checker", "ComponentHealth", "Health", "WsgiHealth"]
