"""Both worlds of a twin test: an original on an Apollo server, and its twin on Capa.

The twin reads a configuration in memory, and then such a server too, by the component that capa.toml names.
"""

FIRST = {"a": "1", "empty": "", "number": "7", "flag": "true", "json": '{"x": [1]}', "dotted.key": "d"}
SECOND = {"a": "2", "number": "7", "added": "new", "flag": "false", "json": "{}", "dotted.key": "d"}
SHIPPING = '{"default": {"price": "4.90"}}'
YAML = "db:\n  host: h\n  ports: [1, 2]\n"
CHANGED_YAML = "db:\n  host: other\nnew: [3]\n"


class World:
    """A client on an Apollo server of its own."""

    def __init__(self, kind, server):
        self.kind = kind
        self._server = server
        self.url = server.url

    def release(self, namespace, values, app="app", cluster="default"):
        self._server.release(namespace, values, app=app, cluster=cluster)


class InMemory:
    """A twin on a configuration in memory."""

    kind = "twin"
    url = "http://apollo.nowhere.example:8080"

    def __init__(self, configuration):
        self._configuration = configuration

    def release(self, namespace, values, app="app", cluster="default"):
        scope = {"application": app, "group": namespace, "label": "" if cluster == "default" else cluster}
        if isinstance(values, str):
            self._configuration.save_document(values, **scope)
            return
        present = self._configuration.get(**scope)
        self._configuration.save(values, **scope)
        self._configuration.delete(present.keys() - values, **scope)


READS = [
    (("a",), {}),
    (("missing",), {}),
    (("missing", "default"), {}),
    (("missing",), {"default_val": 5}),
    (("empty", "default"), {}),
    (("number", 0), {}),
    (("dotted.key",), {}),
    (("a", None, "other"), {}),
    (("a",), {"namespace": "other"}),
    (("missing", "d"), {"namespace": "other"}),
    (("content",), {"namespace": "shipping.json"}),
]


def outcome(call):
    """Return the result of a call, or the type of its exception."""
    try:
        return call()
    except Exception as error:
        return type(error)


def read_all(client):
    """Return the outcome of each of `READS`."""
    return [outcome(lambda args=args, named=named: client.get_value(*args, **named)) for args, named in READS]
