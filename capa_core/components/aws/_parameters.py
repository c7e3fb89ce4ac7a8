"""Requests of SSM for parameters: pages, batches of ten, and pauses where it is asked too often."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import AwsError
from capa_core.errors import ExhaustedError

SERVICE = "ssm"
_AT_ONCE = 10
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as it is now."""

    name: str
    value: str
    kind: str
    version: int
    changed_at: float


class Parameters:
    """The parameters of one region."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def below(self, path: str, *, deep: bool = False, decrypt: bool = True) -> Iterator[Parameter]:
        """Yield the parameters directly below *path*, with *deep* all of them."""
        request: dict[str, Any] = {
            "Path": path.rstrip("/") or "/",
            "Recursive": deep,
            "WithDecryption": decrypt,
            "MaxResults": _AT_ONCE,
        }
        while True:
            answer = self._clients.call(SERVICE, "GetParametersByPath", f"{path}*", **request)
            yield from map(_parameter, answer["Parameters"])
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]

    def get(self, names: Sequence[str]) -> dict[str, Parameter]:
        """Return those of *names* that are there."""
        found: dict[str, Parameter] = {}
        for start in range(0, len(names), _AT_ONCE):
            batch = list(names[start : start + _AT_ONCE])
            answer = self._clients.call(SERVICE, "GetParameters", batch[0], Names=batch, WithDecryption=True)
            found |= {one["Name"]: _parameter(one) for one in answer["Parameters"]}
        return found

    def create(self, name: str, value: str) -> bool:
        """Create a parameter; return false if it is there."""
        request: dict[str, Any] = {"Name": name, "Value": value, "Type": "String", "Overwrite": False}
        try:
            self._clients.call(SERVICE, "PutParameter", name, **request)
        except AwsError as error:
            if error.code == "ParameterAlreadyExists":
                return False
            raise
        return True

    def put(self, name: str, request: Mapping[str, Any], end: float) -> None:
        """Write a parameter, and wait for a turn until *end* where SSM is asked too often."""
        self._patiently("PutParameter", name, end, {"Name": name, "Overwrite": True, **request})

    def delete(self, names: Sequence[str], end: float) -> None:
        """Delete parameters; missing ones are passed over. It waits as `put` does."""
        for start in range(0, len(names), _AT_ONCE):
            batch = list(names[start : start + _AT_ONCE])
            self._patiently("DeleteParameters", batch[0], end, {"Names": batch})

    def _patiently(self, action: str, place: str, end: float, request: dict[str, Any]) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                self._clients.call(SERVICE, action, place, **request)
            except AwsError as error:
                if error.kind is not ExhaustedError or time.monotonic() + pause_s > end:
                    raise
            else:
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def version_of(found: Sequence[Parameter]) -> str:
    """Return a text that changes with each of the parameters; `""` for none."""
    if not found:
        return ""
    digest = hashlib.blake2b(digest_size=8)
    for one in sorted(found, key=lambda one: one.name):
        digest.update(f"{one.name}\0{one.version}\0{one.changed_at}\0".encode())
    return digest.hexdigest()


def _parameter(one: Mapping[str, Any]) -> Parameter:
    return Parameter(
        one["Name"], one["Value"], one["Type"], int(one["Version"]), one["LastModifiedDate"].timestamp()
    )
