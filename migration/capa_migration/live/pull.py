"""Values of Apollo as files: read whole namespaces from a server, compare them with a folder, and write them there."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from capa_core import Runtime
from capa_core.blocks.configuration import Configuration, formats
from capa_core.errors import (
    DeadlineError,
    NotFoundError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)

SECRET = "APOLLO_ACCESS_KEY_SECRET"  # noqa: S105 - the name of the variable with the access key

State = Literal["new", "same", "differs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The place of namespaces in Apollo.

    Attributes:
        url: The address of a config service, or of a meta server if *is_meta*.
        secret: The access key; `""` where the application has none.
    """

    url: str
    app_id: str
    cluster: str
    secret: str
    is_meta: bool


@dataclass(frozen=True, slots=True)
class PulledNamespace:
    """One namespace beside the file that is to hold it.

    Attributes:
        group: The name of the group and of its file, with a suffix.
        keys: The number of keys; `None` for a text without any.
        before: The text of the file; `None` if there is none.
    """

    name: str
    group: str
    path: Path
    content: str
    release: str
    keys: int | None
    before: str | None

    @property
    def state(self) -> State:
        """Whether the file would be new, says the same already, or says something else."""
        if self.before is None:
            return "new"
        return "same" if self._says_the_same(self.before) else "differs"

    def diff(self) -> list[str]:
        """Return the change of the file as lines of a unified diff."""
        before, after = (self.before or "").splitlines(), self.content.splitlines()
        return list(
            difflib.unified_diff(before, after, str(self.path), f"{self.name} in Apollo", lineterm="")
        )

    def _says_the_same(self, before: str) -> bool:
        suffix = formats.suffix_of(self.group)
        if before == self.content or suffix != ".properties":
            return before == self.content
        try:
            return formats.items(before, suffix, "") == formats.items(self.content, suffix, "")
        except SettingsError:
            return False


def pull(
    origin: Origin, namespaces: Sequence[str], folder: Path, progress: Callable[[int, int], object]
) -> list[PulledNamespace]:
    """Return the namespaces as Apollo has them now, each beside its file below *folder*. Nothing is written.

    Args:
        progress: Called with the number of namespaces that are read, and of all.

    Raises:
        NotFoundError: One has no release.
        PermissionDeniedError: The access key is missing or wrong.
        SettingsError: The address is malformed, or the text of a document.
        UnavailableError: The server does not answer, or its answer is not one of Apollo.
    """
    try:
        with _component(_settings(origin)) as configuration:
            return list(_read(configuration, origin, namespaces, folder, progress))
    except (UnavailableError, DeadlineError) as error:
        raise UnavailableError(
            f"{origin.url} does not answer as Apollo does: {error.__cause__ or error}"
        ) from error
    except PermissionDeniedError as error:
        raise PermissionDeniedError(
            f"{origin.url} refuses the access key of app {origin.app_id!r}: give --secret, or set {SECRET};"
            " the clocks of both machines must be within a minute of each other"
        ) from error


def write(origin: Origin, namespaces: Sequence[PulledNamespace], folder: Path) -> None:
    """Write the files of *namespaces*, each as a whole.

    Raises:
        InvalidArgumentError: A name cannot be that of a file.
        UnavailableError: The disk is full, or cannot be written.
    """
    with _component({"driver": "file", "path": str(folder.absolute())}) as configuration:
        for one in namespaces:
            configuration.save_document(
                one.content, group=one.group, application=origin.app_id, label=_label(origin.cluster)
            )


def _read(
    configuration: Configuration,
    origin: Origin,
    namespaces: Sequence[str],
    folder: Path,
    progress: Callable[[int, int], object],
) -> Iterator[PulledNamespace]:
    for number, name in enumerate(namespaces):
        progress(number, len(namespaces))
        yield _pulled(configuration, origin, name, folder)
    progress(len(namespaces), len(namespaces))


def _pulled(configuration: Configuration, origin: Origin, name: str, folder: Path) -> PulledNamespace:
    suffix = formats.suffix_of(name)
    group = name if suffix else f"{name}.properties"
    view = configuration.view(group)
    if view.stale:  # it would be of another run
        raise UnavailableError(f"{origin.url} does not answer")
    if not view.version:
        raise NotFoundError(
            f"namespace {name!r} of app {origin.app_id!r} has no release in cluster {origin.cluster!r} at {origin.url}."
            " Correct --namespace (with its suffix, if it is a document), --app-id or --cluster"
        )
    path = folder.joinpath(*filter(None, (origin.app_id, _label(origin.cluster))), group)
    keys = len(view) if suffix not in formats.TEXTS else None
    return PulledNamespace(name, group, path, view.content or "", view.version, keys, _text(path))


def _settings(origin: Origin) -> dict[str, Any]:
    address = {"meta" if origin.is_meta else "url": origin.url}
    key = {"secret": origin.secret} if origin.secret else {}
    return {"driver": "apollo", "app_id": origin.app_id, "cluster": origin.cluster, **address, **key}


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return path.read_text(encoding="iso-8859-1")


def _label(cluster: str) -> str:
    return "" if cluster == "default" else cluster


@contextmanager
def _component(settings: Mapping[str, Any]) -> Iterator[Configuration]:
    """Yield a configuration component without the project's settings, and without values of an earlier run."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "capa.toml")
        file.touch()
        with Runtime({"configuration": {"default": settings}}, file=file, environ={}) as runtime:
            yield runtime.configuration()


def as_data(
    namespaces: Sequence[PulledNamespace], *, written: Sequence[PulledNamespace]
) -> Iterator[dict[str, Any]]:
    """Yield each namespace as data for JSON."""
    for one in namespaces:
        yield {
            "namespace": one.name,
            "file": str(one.path),
            "state": one.state,
            "written": one in written,
            "keys": one.keys,
            "release": one.release,
        }
