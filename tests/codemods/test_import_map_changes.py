"""`changes` of an import map: a name that is served with another outcome."""

from typing import Any

import pytest

from capa_codemods.errors import ImportMapError
from capa_codemods.sdks.import_map_file import parse_import_map
from capa_codemods.sdks.names import Names

SDK = {"name": "lib", "package": "capa_lib", "extra": "lib", "roots": ["lib"], "distributions": ["lib"]}


def parse(**line: Any) -> Any:
    lines = [{"name": "lib.App.open", "reason": "why", **line}]
    return parse_import_map({"sdk": SDK, "modules": {"lib": "capa_lib"}, "names": lines}, "map")


def test_a_name_that_changes_is_told_and_moves() -> None:
    names = Names([parse(support="partial", changes=True)])
    limit = names.limit("lib.App.open", ())

    assert limit is not None
    assert (True, "capa_lib") == (limit.is_told, names.target_of("lib", "App").module)


def test_a_setting_that_changes_is_told_under_both_names() -> None:
    line = {"name": "lib.App.conf", "keys": ["a"], "support": "partial", "reason": "why", "changes": True}
    made = parse_import_map({"sdk": SDK, "modules": {"lib": "capa_lib"}, "settings": [line]}, "map")

    assert [True, True] == [one.is_told for one in made.names]


def test_one_that_is_served_in_part_alone_is_not_told() -> None:
    assert [False] == [line.is_told for line in parse(support="partial").names]


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ({"support": "partial", "changes": "yes"}, "changes must be true or false"),
        ({"support": "none", "changes": True}, "only what is partial"),
    ],
)
def test_a_wrong_line_is_named(line: dict[str, Any], reported: str) -> None:
    with pytest.raises(ImportMapError, match=reported):
        parse(**line)
