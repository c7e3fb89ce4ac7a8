"""The cost of reading a configuration value, compared with a look-up in a constant dict."""

import timeit
from dataclasses import dataclass

from benchmarks.measure import Row, interleave, ours_at_most
from capa_apollo import cloud_config, get_config, value
from capa_apollo.apollo_config import ApolloClient as ApolloConfigClient
from capa_apollo.apollocfg import ApolloClient as Apollocfg
from capa_apollo.ApolloPyClient.ApolloPyClient import ApolloClient as ApolloPyClient
from capa_apollo.apopy import Client as Apopy
from capa_apollo.papollo import Apollo as Papollo
from capa_apollo.py3_apollo import ApolloClient as Py3Apollo
from capa_apollo.pyapollo import ApolloClient
from capa_apollo.xhrg import ApolloClient as Xhrg
from capa_core import Runtime, use_runtime
from capa_core.live import switch

CALLS = 500_000
URL = "http://localhost:8080"  # where pyapollo looks by default; never connected to
ATTRIBUTES, CALLS_OF_CLIENTS = ours_at_most(100e-9), ours_at_most(150e-9)


@cloud_config("limits.json")
@dataclass
class Limits:
    max_connections: int = 1


@cloud_config("limits.json")
class PlainLimits:
    max_connections: int = 1


class Service:
    limits: Limits = cloud_config("limits.json", Limits)
    timeout_s: float = value("${timeout:2.5}")


READS = {
    "an attribute of a @cloud_config class": "decorated.max_connections",
    "an attribute of a plain @cloud_config class itself": "plain_class.max_connections",
    "@cloud_config as an attribute": "service.limits",
    "@value as an attribute": "service.timeout_s",
    "whether a switch is on": "bool(new_checkout)",
    "ApolloClient.get_value": "client.get_value('timeout')",
    "get_value of apollo_config": "of_apollo_config.get_value('timeout')",
    "get_value of apollocfg": "of_apollocfg.get_value('timeout')",
    "get_value of py3_apollo": "of_py3.get_value('timeout')",
    "get_value of xhrg": "of_xhrg.get_value('timeout')",
    "get_value of ApolloPyClient": "of_apollopyclient.get_value('timeout')",
    "get of apopy": "of_apopy.get('timeout')",
    "get of papollo": "of_papollo.get('timeout')",
    "Config.get_property": "config.get_property('timeout')",
    "ConfigurationView[key]": "view['timeout']",
}


def run() -> list[Row]:
    """Read live values while nothing changes, the usual case."""
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        configuration = runtime.configuration()
        configuration.save({"timeout": "4"})
        configuration.save_document('{"max_connections": 5}', group="limits.json")
        names = {
            "decorated": Limits(),
            "plain_class": PlainLimits,
            "service": Service(),
            "new_checkout": switch("new-checkout"),
            "client": ApolloClient("app"),
            "of_apollo_config": ApolloConfigClient("app", URL),
            "of_apollocfg": Apollocfg("app", meta_server=URL),
            "of_py3": Py3Apollo("app", URL),
            "of_xhrg": Xhrg(URL, "app"),
            "of_apollopyclient": ApolloPyClient("app", URL),
            "of_apopy": Apopy(URL, "app"),
            "of_papollo": Papollo(URL, "app"),
            "config": get_config(),
            "view": configuration.view(),
            "plain": {"timeout": "4"},
        }
        return [Row(work, "dict look-up", _figures(read, names), _bar(read)) for work, read in READS.items()]


def _bar(read):
    return CALLS_OF_CLIENTS if read.endswith(")") else ATTRIBUTES


def _figures(read, names):
    eval(read, names)
    return interleave(
        lambda: _per_read_s("plain['timeout']", names), lambda: _per_read_s(read, names), rounds=7
    )


def _per_read_s(read, names):
    return timeit.timeit(read, globals=names, number=CALLS) / CALLS
