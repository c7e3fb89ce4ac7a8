"""`capa completion`: completion scripts for shells, made from the parsers of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module

from capa_migration.cli import CLEAN, COMMANDS
from capa_migration.cli.arguments import Parser
from capa_migration.errors import OptionsError

_EXAMPLES = """\
examples:
  bash   capa completion bash > ~/.local/share/bash-completion/completions/capa
  zsh    capa completion zsh > ~/.zfunc/_capa      with `fpath+=(~/.zfunc)` before `compinit` in ~/.zshrc
  fish   capa completion fish > ~/.config/fish/completions/capa.fish

The script is read once by the shell; capa itself does not run while you type.
"""


def parser() -> Parser:
    """Return the parser of `capa completion`."""
    parser = Parser(
        prog="capa completion",
        description="Print a script that completes the words of capa in a shell.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="the shell")
    return parser


def run(words: list[str]) -> int:
    """Run `capa completion` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    try:
        import shtab
    except ImportError as error:
        from capa_core.installing import extra_command

        raise OptionsError(f"completion needs a library: {extra_command('migrate')}") from error
    whole = _whole()
    for action in _actions(whole):
        if action.metavar in {"PATH", "FILE"}:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab reads it
        elif action.metavar == "RULE":
            action.choices = _rules()
    # Without this zsh completes only the first of several paths.
    print(shtab.complete(whole, arguments.shell).replace('"(*)::', '"*:'))
    return CLEAN


def _whole() -> Parser:
    """Return one parser for all commands."""
    whole = Parser(prog="capa")
    whole.add_argument("--version", "-V", action="store_true", help="print the version")
    commands = whole.add_subparsers(parser_class=Parser)
    for name, summary in COMMANDS.items():
        own = import_module(f"capa_migration.cli.{name}").parser()
        commands.add_parser(name, help=summary, description=summary, parents=[own], add_help=False)
    return whole


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)


def _rules() -> list[str]:
    from capa_codemods.api import rule_offers

    return [offer.id for offer in rule_offers()]
