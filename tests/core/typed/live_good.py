"""Code with live values that type checkers accept, with the types that they must find. Never run."""

from dataclasses import dataclass
from typing import assert_type

from pydantic import BaseModel

from capa_core.live import Switch, Values, configured, inject, json_value, switch, value


@configured("limits.json")
@dataclass
class Limits:
    max_connections: int = 10


@configured("application", prefix="shop.db")
class Database(BaseModel):
    host: str = "localhost"


class Service:
    limits = configured("limits.json", Limits)
    timeout_s: float = value("${orders.timeout:2.5}")
    weights: dict[str, int] = json_value("${weights:{}}")

    @value(batch="${orders.batch:50}")
    def resize(self, batch: int) -> None: ...


shop = Values("shop", "application")


@shop.value(retries="${http.retries:3}")
def fetch(path: str, *, retries: int = 0) -> str:
    return path * retries


@inject
def load(path: str, retries: int = value("${http.retries:3}")) -> str:
    return path * retries


def read(service: Service) -> None:
    assert_type(Limits().max_connections, int)
    assert_type(Database().host, str)
    assert_type(service.limits, Limits)
    assert_type(configured("limits.json", Limits).get(), Limits)
    assert_type(service.timeout_s, float)
    assert_type(load("p"), str)
    checkout = switch("features.checkout", group="shop")
    assert_type(checkout, Switch)
    assert_type(bool(checkout), bool)
    assert_type(checkout.on_for("42"), bool)
