"""The adapter kit: modules that stand for the original's, snapshots, versions, addresses."""

import importlib
import sys
from types import ModuleType
from unittest.mock import patch

import pytest

from capa_core import Runtime, shims, use_runtime
from capa_core.shims._versions import is_within


@pytest.fixture
def original(monkeypatch):
    """A package `vendor` with a submodule `vendor.tools`, as its author shipped it."""
    package, tools = ModuleType("vendor"), ModuleType("vendor.tools")
    package.limit, package.tools, tools.grind = 10, tools, str.upper
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "vendor", package)
    monkeypatch.setitem(sys.modules, "vendor.tools", tools)
    return package


@pytest.fixture
def mirror(original, monkeypatch):
    """A package `capa_vendor` in front of it that has one name of its own."""
    module = ModuleType("capa_vendor")
    module.Client = object
    monkeypatch.setitem(sys.modules, "capa_vendor", module)
    shims.mirror("capa_vendor", original)
    return module


def test_an_alias_is_the_original_module(original, monkeypatch):
    monkeypatch.setitem(sys.modules, "capa_vendor.tools", ModuleType("capa_vendor.tools"))
    shims.alias("capa_vendor.tools", "vendor.tools")

    assert original.tools is importlib.import_module("capa_vendor.tools")


def test_an_alias_with_submodules_leads_to_each_that_is_loaded(original, monkeypatch):
    monkeypatch.setitem(sys.modules, "alias_of_vendor", ModuleType("alias_of_vendor"))
    shims.alias("alias_of_vendor", "vendor", submodules=True)
    found = sys.modules.pop("alias_of_vendor.tools")

    assert original.tools is found


def test_a_mirror_reads_and_lists_the_names_of_the_original(mirror, original):
    original.added_later = 1

    assert (10, 1) == (mirror.limit, mirror.added_later)
    assert {"Client", "limit", "added_later"} <= set(dir(mirror))


def test_a_name_that_neither_has_is_an_attribute_error_of_the_mirror(mirror):
    with pytest.raises(AttributeError, match="module 'capa_vendor' has no attribute 'nothing'"):
        mirror.nothing  # noqa: B018


def test_patching_through_a_mirror_changes_the_original_and_changes_it_back(mirror, original):
    with patch("capa_vendor.limit", 99):
        assert (99, 99) == (original.limit, mirror.limit)

    assert (10, 10) == (original.limit, mirror.limit)


def test_a_name_of_its_own_is_patched_in_the_mirror_alone(mirror, original):
    original.Client = "theirs"
    with patch("capa_vendor.Client", "patched"):
        assert ("patched", "theirs") == (mirror.Client, original.Client)


def test_a_submodule_of_its_own_is_bound_to_the_mirror_alone(mirror, original, monkeypatch):
    own = ModuleType("capa_vendor.tools")
    monkeypatch.setitem(sys.modules, "capa_vendor.tools", own)
    mirror.tools = own  # as the import system does

    assert own is mirror.tools
    assert own is not original.tools


def test_a_submodule_of_its_own_is_preferred_when_it_is_asked_for_first(tmp_path, monkeypatch):
    for name, text in {
        "seller/__init__.py": "",
        "seller/tools.py": "MAKER = 'theirs'",
        "seller/others.py": "",
        "capa_seller/__init__.py": "from capa_core import shims\nshims.mirror(__name__, 'seller')",
        "capa_seller/tools.py": "MAKER = 'ours'",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    others = importlib.import_module("seller.others")
    importlib.import_module("seller.tools")
    ours = importlib.import_module("capa_seller")

    assert ("ours", others) == (ours.tools.MAKER, ours.others)


def test_an_attribute_snapshot_sees_a_replacement_and_its_end(original):
    snapshot = shims.AttributeSnapshot((original, "limit tools"))
    with patch.object(original, "limit", 11):
        assert not snapshot.unchanged()

    assert snapshot.unchanged()


def test_a_method_snapshot_sees_subclasses_and_attributes_of_an_instance():
    class Client:
        def send(self): ...

        def close(self): ...

    class Special(Client):
        def send(self): ...

    changed = Client()
    changed.close = None
    snapshot = shims.MethodSnapshot(Client, "send close")

    assert [True, False, False] == [snapshot.inherited_by(each) for each in (Client(), Special(), changed)]


@pytest.mark.parametrize(
    ("version", "requirement", "within"),
    [
        ("2.32.3", ">=2.32.3,<3", True),
        ("2.32.2", ">=2.32.3,<3", False),
        ("2.33.0.dev1", ">=2.32.3,<3", True),
        ("3.0", ">=2.32.3,<3", False),
        ("3", "<=3.0.0", True),
        ("5.6.0rc1", "!=5.6,>5.5", False),
        ("5.10.0", ">=5.9", True),
        ("unknown", ">=1", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version, requirement, within):
    assert within == is_within(version, requirement)


def test_a_requirement_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="'~=2.1' is not a version requirement"):
        is_within("2.1", "~=2.1")


def test_the_error_for_a_part_that_is_not_served_names_the_command_that_explains():
    sdk = shims.Sdk(package="capa_vendor", name="vendor", extra="vendor", root="vendor")

    error = shims.not_served(sdk, "The mill", instead="Grind by hand.", section="mills")

    assert (
        "The mill is not served by capa_vendor. Grind by hand. `capa explain vendor/mills` has the details."
        == str(error)
    )


@pytest.mark.parametrize(
    "address",
    [
        "redis://:secret@queue.internal/",
        "redis://queue.internal:6379/0;redis://other/1",
        ["redis://queue.internal", "redis://other/1"],
        "capa://jobs",
    ],
)
def test_a_legacy_address_stands_for_the_logical_name_that_lists_it(address):
    tree = {"pubsub": {"jobs": {"driver": "memory", "legacy": ["redis://queue.internal:6379/0"]}}}
    with Runtime.in_memory(tree) as runtime, use_runtime(runtime):
        assert "jobs" == shims.logical_name("pubsub", address)


@pytest.mark.parametrize("address", [None, "", [], "redis://elsewhere"])
def test_an_address_that_nothing_lists_stands_for_no_name(address):
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        assert None is shims.logical_name("pubsub", address)


def test_a_value_is_made_once_for_each_runtime():
    made = []
    value = shims.PerRuntime(lambda runtime: made.append(runtime) or runtime)
    with Runtime.in_memory() as first, use_runtime(first):
        assert [first, first] == [value(), value()]
        with Runtime.in_memory() as second, use_runtime(second):
            assert second is value()

    assert [first, second] == made
