"""`unserved` of an import map: the modules of the original that the adapter does not have."""

import pytest

from capa_codemods.errors import ImportMapError
from capa_codemods.sdks.import_map import NameLine
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
def test_modules_below_an_unserved_one_are_unserved_too(name, expected):
    assert expected is Names([parsed("x.c")]).is_unserved(name)


@pytest.mark.parametrize(
    ("unserved", "reported"),
    [
        ("y.c", "map.toml: [sdk] unserved y.c is under none of the roots ['x']"),
        ("x.a", "map.toml: [modules] x.a.b is in x.a, which is listed as unserved"),
    ],
)
def test_a_wrong_line_is_named(unserved, reported):
    with pytest.raises(ImportMapError) as refused:
        parsed(unserved)

    assert reported == str(refused.value)


def test_names_of_a_module_that_is_not_served_stay_on_the_original():
    found = parsed("x.c")
    lines = tuple(NameLine(name, "none", "why", "docs/differences/x.md#y") for name in ("x.a.b", "x.C"))
    names = Names([found._replace(names=lines)])

    assert [("x.a.b", "D"), ("x", "C"), ("capa_x", "E")] == [
        names.target_of(module, name) for module, name in (("x.a.b", "D"), ("x", "C"), ("x", "E"))
    ]
