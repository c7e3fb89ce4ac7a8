"""`distributions` of an import map: the roots that each of them installs."""

import pytest

from capa_codemods.errors import ImportMapError
from capa_codemods.sdks.import_map_file import parse_import_map


def parsed(distributions):
    sdk = {
        "name": "x",
        "package": "capa_x",
        "extra": "x",
        "roots": ["x", "y"],
        "distributions": distributions,
    }
    return parse_import_map({"sdk": sdk, "modules": {"x": "capa_x"}}, "map.toml")


def test_each_distribution_of_a_list_brings_all_roots():
    found = parsed(["one", "two"])

    assert ("one", "two") == found.distributions
    assert ["one", "two"] == found.bringing("y")


def test_distribution_of_a_table_brings_its_own_roots():
    found = parsed({"one": ["x", "y"], "two": ["y"]})

    assert ["one"] == found.bringing("x")
    assert ["one", "two"] == found.bringing("y")


@pytest.mark.parametrize(
    ("distributions", "reported"),
    [
        ({}, "[sdk] distributions must be a list of strings that is not empty"),
        ({"one": "x"}, "[sdk.distributions] one must be a list of strings"),
        ({"one": ["x"]}, "must bring all of the roots ['x', 'y'] and no others: look at y"),
        ({"one": ["x", "y", "z"]}, "must bring all of the roots ['x', 'y'] and no others: look at z"),
    ],
)
def test_a_wrong_line_is_named(distributions, reported):
    with pytest.raises(ImportMapError) as refused:
        parsed(distributions)

    assert reported in str(refused.value)
