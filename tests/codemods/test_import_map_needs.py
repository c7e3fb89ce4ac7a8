"""`[needs]` of an import map: the abilities of a block that the use of a name needs."""

import pytest

from capa_codemods.errors import ImportMapError
from capa_codemods.sdks.import_map_file import parse_import_map


def parsed(needs):
    sdk = {"name": "x", "package": "capa_x", "extra": "x", "roots": ["x"], "distributions": ["x"]}
    return parse_import_map({"sdk": sdk, "modules": {"x": "capa_x"}, "needs": needs}, "map.toml")


def test_needs_are_kept_by_ability():
    needs = {"pubsub.delay": ["x(countdown)", "x.retry"]}

    assert {"pubsub.delay": ("x(countdown)", "x.retry")} == parsed(needs).needs


@pytest.mark.parametrize(
    ("needs", "reported"),
    [
        ({"delay": ["x"]}, "map.toml: [needs] delay is no `block.ability`, such as pubsub.delay"),
        ({"pubsub.delay": ["y(a)"]}, "[needs] pubsub.delay: y(a) is under none of the roots ['x']"),
        ({"pubsub.delay": "x"}, "[needs] pubsub.delay must be a list of strings that is not empty"),
    ],
)
def test_a_wrong_line_is_named(needs, reported):
    with pytest.raises(ImportMapError) as refused:
        parsed(needs)

    assert reported in str(refused.value)
