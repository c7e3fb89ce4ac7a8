"""Code with live values that type checkers refuse, at each line that says so. Never run."""

from dataclasses import dataclass

from capa_core.live import Values, configured, inject, switch, value


@configured("limits.json", prefix=1)  # error
@dataclass
class Limits:
    max_connections: int = 10


class Service:
    limits = configured("limits.json", Limits)


@inject
def load(path: str, retries: int = value("${http.retries:3}")) -> str:
    return path * retries


def read(service: Service) -> None:
    print(Limits().max_connection)  # error
    print(service.limits.host)  # error
    name: str = service.limits.max_connections  # error
    load(3, name)  # error
    switch("a").on_for(42)  # error
    switch("a", "yes")  # error
    switch("a").watch(3)  # error
    Values(group="shop")  # error
