"""The names that rules and the migration tool may import are listed here; one more or less is a decision."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from capa_codemods import api

ROOT = Path(__file__).parents[2]
FACE = """
BusyError CAPA_DISTRIBUTION CAPA_TOML CapaTomlPlan Change CodemodError CommandFile CommandLine CondaFile ConflictError
Document Edit Finding ImportMap ImportMapError ImportStatement ImportedName Journal JournalEntry JournalError
JournalRecord LARGEST_BYTES Level MIGRATE_FOLDER MODULE_NAMES Meanings NameLine Names NotebookFile Outcome PatchTarget
Pipfile PlannedFile Progress Project PyprojectFile PythonFile RequirementsFile Rewrite Rule RuleError RuleFailedError
RuleOffer ScriptHeader Setting SetupCfg SetupFile Sieve SimpleCommand StartedCommand StringUse Support ToxIni Trouble
UncommittedChanges UnreadableError WriteResult __version__ apply_files blocks_in calls_in_strings capa_requirement
cell_commands check_folder children commit_files crashed_outcome did_you_mean digest each_file excluding find_rule
find_scripts git_top_level has_journal import_map_paths is_git_ignored is_ignored is_lock is_manifest list_files
make_migrate_folder may_be_script move_earlier_file moved_patch_target no_progress normalized_name open_private
open_regular patch_targets plan_capa_toml planned_file rare_garbage_collection read_file read_import_map reason_id
recover_unfinished refusal_to_commit remedy_for replace_file requires rule_offers rule_summary search_for settings_in
source_files spellings_pattern splice started_command uncommitted_changes undo_newest unified_diff walk_statements
with_argument without write_private
"""
VALUES = {"CAPA_DISTRIBUTION", "CAPA_TOML", "LARGEST_BYTES", "MIGRATE_FOLDER", "MODULE_NAMES", "__version__"}
ALIASES = {"Level", "Progress", "Support"}
"""Names of types, which cannot have a docstring."""


def test_the_face_has_the_listed_names():
    assert FACE.split() == sorted(api.__all__)


def test_type_checkers_see_the_names_that_are_imported_late():
    tree = ast.parse(inspect.getsource(api))
    early = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {name.name: node.module for node in early.body for name in node.names}

    assert seen == api._HOMES
    assert {*seen, "__version__"} == set(api.__all__)


@pytest.mark.parametrize("name", api.__all__)
def test_each_name_is_there_and_has_a_docstring(name):
    value = getattr(api, name)

    assert name in VALUES | ALIASES or value.__doc__


def test_each_public_method_has_a_docstring():
    silent = [
        f"{name}.{method}"
        for name in api.__all__
        if isinstance(getattr(api, name), type)
        for method, value in vars(getattr(api, name)).items()
        if not method.startswith("_") and inspect.isfunction(value) and not value.__doc__
    ]

    assert [] == silent


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'capa_codemods.api' has no attribute 'Rul'"):
        api.Rul  # noqa: B018 - reading it is what is tried


def test_the_face_by_itself_loads_no_other_module_of_the_rewrite():
    code = "import capa_codemods.api, sys; print(*(name for name in sys.modules if name.startswith('capa_')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ["capa_codemods", "capa_codemods.api"] == done.stdout.split()


def test_migration_knows_the_face_alone_for_type_checkers_too():
    imported = {
        node.module
        for path in (ROOT / "migration").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("capa_codemods")
    }

    assert {"capa_codemods.api"} == imported
