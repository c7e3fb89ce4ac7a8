"""The face of the rewrite: every name that a rule, or the migration tool, may import.

    from capa_codemods.api import Edit, Finding, PythonFile, Rule

    rule                Rule, and the items that its `check` yields: Edit, Finding (with a Level), Setting
    files               Document and its kinds: PythonFile, NotebookFile, CommandFile, and one for each kind of manifest
    Python              Meanings, calls_in_strings, with_argument, is_ignored; walk_statements, blocks_in and children
                        of a syntax tree; ImportStatement, ImportedName and StringUse: the places of an import and of
                        a string
    surroundings        Project (one tree), Names (old and new names), ImportMap and its NameLine, CommandLine,
                        MODULE_NAMES (`__name__` and its like)
    run                 rule_offers → Rewrite → Outcome (with a Change for each edit) → splice, unified_diff; excluding
    write and undo      Outcome → planned_file → PlannedFile; Journal, apply_files, undo_newest, recover_unfinished
                        → WriteResult
    errors              CodemodError and below; remedy_for an OSError

All other modules may be moved or renamed without notice. The contract of each name is its docstring. A name is imported
when it is first used, so that a command pays for nothing that it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from capa_codemods import __version__

if TYPE_CHECKING:
    from capa_codemods.command_lines.cells import cell_commands
    from capa_codemods.command_lines.command_file import CommandFile
    from capa_codemods.command_lines.found import SimpleCommand
    from capa_codemods.command_lines.judged import StartedCommand, started_command
    from capa_codemods.discovery import import_map_paths, source_files
    from capa_codemods.errors import (
        BusyError,
        CodemodError,
        ConflictError,
        ImportMapError,
        JournalError,
        RuleError,
        RuleFailedError,
        UnreadableError,
        did_you_mean,
        remedy_for,
    )
    from capa_codemods.findings import Change, Edit, Finding, Level, Outcome, Setting
    from capa_codemods.limits import LARGEST_BYTES
    from capa_codemods.manifests.conda_file import CondaFile
    from capa_codemods.manifests.ini_file import SetupCfg, ToxIni
    from capa_codemods.manifests.locks import is_lock
    from capa_codemods.manifests.required import requires
    from capa_codemods.manifests.requirement import capa_requirement
    from capa_codemods.manifests.requirements_file import RequirementsFile
    from capa_codemods.manifests.script_header import ScriptHeader
    from capa_codemods.manifests.setup_file import SetupFile
    from capa_codemods.manifests.toml_manifest import Pipfile, PyprojectFile
    from capa_codemods.pipeline.capa_toml import CapaTomlPlan, plan_capa_toml
    from capa_codemods.pipeline.each_file import each_file, rare_garbage_collection
    from capa_codemods.pipeline.excluding import excluding
    from capa_codemods.pipeline.rewrite import Rewrite, crashed_outcome
    from capa_codemods.project import CAPA_TOML, Project, is_manifest
    from capa_codemods.read.calls import calls_in_strings, is_ignored, with_argument
    from capa_codemods.read.children import blocks_in, children
    from capa_codemods.read.document import Document
    from capa_codemods.read.facts import ImportedName, ImportStatement, StringUse
    from capa_codemods.read.files import digest, open_regular, read_file
    from capa_codemods.read.find import list_files, without
    from capa_codemods.read.git import git_top_level, is_git_ignored
    from capa_codemods.read.meaning import Meanings
    from capa_codemods.read.notebook_file import NotebookFile
    from capa_codemods.read.python_file import PythonFile, walk_statements
    from capa_codemods.read.scripts import find_scripts, may_be_script
    from capa_codemods.rule import Rule
    from capa_codemods.rules import RuleOffer, find_rule, rule_offers, rule_summary
    from capa_codemods.rules.strings import moved_patch_target
    from capa_codemods.sdks.import_map import CommandLine, ImportMap, NameLine, Support, reason_id
    from capa_codemods.sdks.import_map_file import read_import_map
    from capa_codemods.sdks.module_names import MODULE_NAMES
    from capa_codemods.sdks.names import CAPA_DISTRIBUTION, Names, normalized_name, spellings_pattern
    from capa_codemods.sdks.settings_modules import settings_in
    from capa_codemods.sdks.sieve import Sieve
    from capa_codemods.sdks.word_search import search_for
    from capa_codemods.strings.patches import PatchTarget, patch_targets
    from capa_codemods.write.apply import (
        Progress,
        Trouble,
        WriteResult,
        apply_files,
        no_progress,
        recover_unfinished,
        undo_newest,
    )
    from capa_codemods.write.git_commit import (
        UncommittedChanges,
        commit_files,
        refusal_to_commit,
        uncommitted_changes,
    )
    from capa_codemods.write.journal import Journal, JournalEntry, JournalRecord
    from capa_codemods.write.journal_folder import (
        MIGRATE_FOLDER,
        check_folder,
        make_migrate_folder,
    )
    from capa_codemods.write.journal_place import has_journal, move_earlier_file
    from capa_codemods.write.planned import PlannedFile, planned_file
    from capa_codemods.write.private import open_private, write_private
    from capa_codemods.write.replace import replace_file
    from capa_codemods.write.splice import splice
    from capa_codemods.write.unified_diff import unified_diff

__all__ = [
    "CAPA_DISTRIBUTION",
    "CAPA_TOML",
    "LARGEST_BYTES",
    "MIGRATE_FOLDER",
    "MODULE_NAMES",
    "BusyError",
    "CapaTomlPlan",
    "Change",
    "CodemodError",
    "CommandFile",
    "CommandLine",
    "CondaFile",
    "ConflictError",
    "Document",
    "Edit",
    "Finding",
    "ImportMap",
    "ImportMapError",
    "ImportStatement",
    "ImportedName",
    "Journal",
    "JournalEntry",
    "JournalError",
    "JournalRecord",
    "Level",
    "Meanings",
    "NameLine",
    "Names",
    "NotebookFile",
    "Outcome",
    "PatchTarget",
    "Pipfile",
    "PlannedFile",
    "Progress",
    "Project",
    "PyprojectFile",
    "PythonFile",
    "RequirementsFile",
    "Rewrite",
    "Rule",
    "RuleError",
    "RuleFailedError",
    "RuleOffer",
    "ScriptHeader",
    "Setting",
    "SetupCfg",
    "SetupFile",
    "Sieve",
    "SimpleCommand",
    "StartedCommand",
    "StringUse",
    "Support",
    "ToxIni",
    "Trouble",
    "UncommittedChanges",
    "UnreadableError",
    "WriteResult",
    "__version__",
    "apply_files",
    "blocks_in",
    "calls_in_strings",
    "capa_requirement",
    "cell_commands",
    "check_folder",
    "children",
    "commit_files",
    "crashed_outcome",
    "did_you_mean",
    "digest",
    "each_file",
    "excluding",
    "find_rule",
    "find_scripts",
    "git_top_level",
    "has_journal",
    "import_map_paths",
    "is_git_ignored",
    "is_ignored",
    "is_lock",
    "is_manifest",
    "list_files",
    "make_migrate_folder",
    "may_be_script",
    "move_earlier_file",
    "moved_patch_target",
    "no_progress",
    "normalized_name",
    "open_private",
    "open_regular",
    "patch_targets",
    "plan_capa_toml",
    "planned_file",
    "rare_garbage_collection",
    "read_file",
    "read_import_map",
    "reason_id",
    "recover_unfinished",
    "refusal_to_commit",
    "remedy_for",
    "replace_file",
    "requires",
    "rule_offers",
    "rule_summary",
    "search_for",
    "settings_in",
    "source_files",
    "spellings_pattern",
    "splice",
    "started_command",
    "uncommitted_changes",
    "undo_newest",
    "unified_diff",
    "walk_statements",
    "with_argument",
    "without",
    "write_private",
]

_MODULES = {
    "command_lines.cells": ("cell_commands",),
    "command_lines.command_file": ("CommandFile",),
    "command_lines.found": ("SimpleCommand",),
    "command_lines.judged": ("StartedCommand", "started_command"),
    "discovery": ("import_map_paths", "source_files"),
    "errors": (
        "BusyError",
        "CodemodError",
        "ConflictError",
        "ImportMapError",
        "JournalError",
        "RuleError",
        "RuleFailedError",
        "UnreadableError",
        "did_you_mean",
        "remedy_for",
    ),
    "findings": ("Change", "Edit", "Finding", "Level", "Outcome", "Setting"),
    "limits": ("LARGEST_BYTES",),
    "manifests.conda_file": ("CondaFile",),
    "manifests.ini_file": ("SetupCfg", "ToxIni"),
    "manifests.locks": ("is_lock",),
    "manifests.required": ("requires",),
    "manifests.requirement": ("capa_requirement",),
    "manifests.requirements_file": ("RequirementsFile",),
    "manifests.script_header": ("ScriptHeader",),
    "manifests.setup_file": ("SetupFile",),
    "manifests.toml_manifest": ("Pipfile", "PyprojectFile"),
    "pipeline.capa_toml": ("CapaTomlPlan", "plan_capa_toml"),
    "pipeline.each_file": ("each_file", "rare_garbage_collection"),
    "pipeline.excluding": ("excluding",),
    "pipeline.rewrite": ("Rewrite", "crashed_outcome"),
    "project": ("CAPA_TOML", "Project", "is_manifest"),
    "read.calls": ("calls_in_strings", "is_ignored", "with_argument"),
    "read.children": ("blocks_in", "children"),
    "read.document": ("Document",),
    "read.facts": ("ImportStatement", "ImportedName", "StringUse"),
    "read.files": ("digest", "open_regular", "read_file"),
    "read.find": ("list_files", "without"),
    "read.git": ("git_top_level", "is_git_ignored"),
    "read.meaning": ("Meanings",),
    "read.notebook_file": ("NotebookFile",),
    "read.python_file": ("PythonFile", "walk_statements"),
    "read.scripts": ("find_scripts", "may_be_script"),
    "rule": ("Rule",),
    "rules": ("RuleOffer", "find_rule", "rule_offers", "rule_summary"),
    "rules.strings": ("moved_patch_target",),
    "sdks.import_map": ("CommandLine", "ImportMap", "NameLine", "Support", "reason_id"),
    "sdks.import_map_file": ("read_import_map",),
    "sdks.module_names": ("MODULE_NAMES",),
    "sdks.names": ("CAPA_DISTRIBUTION", "Names", "normalized_name", "spellings_pattern"),
    "sdks.settings_modules": ("settings_in",),
    "sdks.sieve": ("Sieve",),
    "sdks.word_search": ("search_for",),
    "strings.patches": ("PatchTarget", "patch_targets"),
    "write.apply": (
        "Progress",
        "Trouble",
        "WriteResult",
        "apply_files",
        "no_progress",
        "recover_unfinished",
        "undo_newest",
    ),
    "write.git_commit": ("UncommittedChanges", "commit_files", "refusal_to_commit", "uncommitted_changes"),
    "write.journal": ("Journal", "JournalEntry", "JournalRecord"),
    "write.journal_folder": ("MIGRATE_FOLDER", "check_folder", "make_migrate_folder"),
    "write.journal_place": ("has_journal", "move_earlier_file"),
    "write.planned": ("PlannedFile", "planned_file"),
    "write.private": ("open_private", "write_private"),
    "write.replace": ("replace_file",),
    "write.splice": ("splice",),
    "write.unified_diff": ("unified_diff",),
}
_HOMES = {name: f"capa_codemods.{module}" for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # else a type checker would take any name for one that is there

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
