"""`unserved` of an import map: the modules of the original that the adapter does not have."""

import pytest

from capa_codemods.errors import ImportMapError
from capa_codemods.sdks.import_map_file import parse_import_map
from capa_codemods.sdks.names import Names


def parsed(*unserved):
    sdk = {"name": "x", "package": "capa_x", "extra": "x", "roots": ["x"], "distributions": ["x"]}
    return parse_import_map(
        {"sdk": {**sdk, "unserved": list(unserved)}, "modules": {"x": "capa_x", "x.a.b": "capa_x.a.b"}},
        "map.toml",
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x", False), ("x.c", True), ("x.c.d", True), ("x.cd", False), ("y.c", False), ("", False)],
)
def test_what_is_below_an_unserved_module_is_unserved_too(name, expected):
    assert expected is Names([parsed("x.c")]).is_unserved(name)


@pytest.mark.parametrize(
    ("unserved", "said"),
    [
        ("y.c", "map.toml: [sdk] unserved y.c is under none of the roots ['x']"),
        ("x.a", "map.toml: [modules] x.a.b is in x.a, which is listed as unserved"),
    ],
)
def test_a_wrong_line_is_named(unserved, said):
    with pytest.raises(ImportMapError) as refused:
        parsed(unserved)

    assert said == str(refused.value)
