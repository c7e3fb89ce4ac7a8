"""`[[settings]]` of an import map: each setting is an attribute of its object, and an argument of its `update`."""

from typing import Any

import pytest

from capa_codemods.errors import ImportMapError
from capa_codemods.sdks.import_map_file import parse_import_map

SDK = {"name": "lib", "package": "capa_lib", "extra": "lib", "roots": ["lib"], "distributions": ["lib"]}
LINE = {
    "name": "lib.App.conf",
    "keys": ["a", "b"],
    "support": "partial",
    "reason": "without effect",
    "see": "x",
}


def parse(line: dict[str, Any]) -> Any:
    return parse_import_map({"sdk": SDK, "modules": {"lib": "capa_lib"}, "settings": [line]}, "map")


def test_a_setting_stands_for_two_names() -> None:
    names = [(line.name, line.argument, line.support, line.reason, line.see) for line in parse(LINE).names]

    rest = ("partial", "without effect", "x")
    assert [
        ("lib.App.conf.a", None, *rest),
        ("lib.App.conf.update", "a", *rest),
        ("lib.App.conf.b", None, *rest),
        ("lib.App.conf.update", "b", *rest),
    ] == names


@pytest.mark.parametrize("key", ["keys", "reason", "name"])
def test_a_key_that_is_missing_is_named(key: str) -> None:
    line = {name: value for name, value in LINE.items() if name != key}

    with pytest.raises(ImportMapError, match=rf"\[\[settings\]\] number 1.*`?{key}`?"):
        parse(line)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ImportMapError, match="did you mean `keys`"):
        parse({**LINE, "key": ["c"]})


def test_a_name_of_another_library_is_refused() -> None:
    with pytest.raises(ImportMapError, match="other.App.conf.a is under none of the roots"):
        parse({**LINE, "name": "other.App.conf"})
