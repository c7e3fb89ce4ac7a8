"""The cost of reading a configuration value, compared with a look-up in a constant dict."""

import timeit
from dataclasses import dataclass

from benchmarks.measure import Row, interleave, ours_at_most
from capa_apollo import cloud_config, get_config, value
from capa_apollo.pyapollo import ApolloClient
from capa_core import Runtime, use_runtime

CALLS = 500_000
BAR = ours_at_most(150e-9)


@cloud_config("limits.json")
@dataclass
class Limits:
    max_connections: int = 1


class Service:
    limits: Limits = cloud_config("limits.json", Limits)
    timeout_s: float = value("${timeout:2.5}")


READS = {
    "an attribute of a @cloud_config class": "decorated.max_connections",
    "@cloud_config as an attribute": "service.limits",
    "@value as an attribute": "service.timeout_s",
    "ApolloClient.get_value": "client.get_value('timeout')",
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
            "service": Service(),
            "client": ApolloClient("app"),
            "config": get_config(),
            "view": configuration.view(),
            "plain": {"timeout": "4"},
        }
        return [Row(work, "dict look-up", _figures(read, names), BAR) for work, read in READS.items()]


def _figures(read, names):
    eval(read, names)
    return interleave(
        lambda: _per_read_s("plain['timeout']", names), lambda: _per_read_s(read, names), rounds=7
    )


def _per_read_s(read, names):
    return timeit.timeit(read, globals=names, number=CALLS) / CALLS
