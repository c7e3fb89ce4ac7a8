"""The start-up check of the abilities that an application requires; a failure names the alternatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from capa_core.abilities import Feature, Support
from capa_core.block import Block, block_names, declaration
from capa_core.errors import MissingExtraError, UnknownNameError, UnsupportedError, nearest
from capa_core.runtime._registry import driver_type, drivers

if TYPE_CHECKING:
    from capa_core.runtime._runtime import Runtime


def require(runtime: Runtime, wanted: Mapping[str, Sequence[str]]) -> None:
    """See `Runtime.require`.

    Raises:
        UnsupportedError: Abilities are missing.
        UnknownNameError: A block or an ability is not known.
    """
    missing: list[str] = []
    for target, labels in wanted.items():
        name, _, component = target.partition(".")
        if name not in block_names():
            raise UnknownNameError(f"requires: no block {name!r}.{nearest(name, block_names())}")
        features = runtime.component(name, component or "default").features
        missing += [line for label in labels if (line := _gap(declaration(name), target, features, label))]
    if missing:
        raise UnsupportedError(
            "this application requires abilities that its components lack:\n  " + "\n  ".join(missing)
        )


def _gap(block: Block, target: str, features: Mapping[Feature, Support], label: str) -> str | None:
    by_label = {feature.label: support for feature, support in features.items()}
    if label not in by_label:
        raise UnknownNameError(f"requires.{target}: no ability {label!r}.{nearest(label, by_label)}")
    support = by_label[label]
    if support:
        return None
    others = [name for name in drivers(block) if _has(block, name, label)]
    alternatives = (
        f"drivers that have it: {', '.join(sorted(others))}" if others else "no installed driver has it"
    )
    return f"{target}: {label} ({support.note}); {alternatives}"


def _has(block: Block, driver: str, label: str) -> bool:
    try:
        features = driver_type(block, driver, "requires").features
    except MissingExtraError:
        return False
    return any(feature.label == label and bool(support) for feature, support in features.items())
