"""`capa queue list|peek|replay|purge`: inspect topics, replay and remove messages."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from capa_migration.cli import CLEAN, FAILED
from capa_migration.cli.arguments import Parser
from capa_migration.cli.component import carry_out
from capa_migration.cli.output import output_of, print_json
from capa_migration.cli.terminal import confirms
from capa_migration.live.queues import DEAD, check_group, check_topic, group_to_peek, letters_left, survey

if TYPE_CHECKING:
    from capa_core import PubSub
    from capa_core.blocks.pubsub import PeekedMessage

_EXAMPLES = """\
examples:
  capa queue list                          topics with their groups: depth, in flight, age, dead letters
  capa queue peek orders --group billing   the messages that wait for a group, without receiving them
  capa queue peek orders --dead            the dead letters of a topic, with the reasons
  capa queue replay orders                 move the dead letters back to the topic
  capa queue purge orders --dead --yes     remove the dead letters

Run it in the folder where the application starts: capa.toml is searched from there.
exit codes: 0 done; 2 the component does not answer, or lacks the ability; 3 wrong usage, or capa.toml is wrong
"""
_ACTIONS = {
    "list": "show topics and groups: depth, in flight, age of the oldest, consumers, dead letters",
    "peek": "show messages that wait, without receiving them",
    "replay": "move dead letters back to the topic that they came from",
    "purge": "remove messages: of a topic, of one group, or dead letters",
}
_CHANGING = {"replay", "purge"}
_ENVELOPE_BYTES = 65_536
"""The longest body that is read whole, so that its envelope can be removed."""


def run(words: list[str]) -> int:
    """Run `capa queue` with *words* and return its exit code."""
    arguments = parser().parse_args(words)
    return carry_out(
        "queue", "pubsub", _RUN[arguments.action], arguments, changing=arguments.action in _CHANGING
    )


def parser() -> Parser:
    """Return the parser of `capa queue`."""
    parser = Parser(
        prog="capa queue", description="Inspect the topics of a pub/sub component.", epilog=_EXAMPLES
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    for name, summary in _ACTIONS.items():
        example = f"example:\n  capa queue {name}{'' if name == 'list' else ' orders'}"
        one = actions.add_parser(name, help=summary, description=summary.capitalize() + ".", epilog=example)
        one.set_defaults(action=name)
        _ADD[name](one)
        _add_common(one)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--component", metavar="NAME", default="default", help="the pub/sub component; `default` if not given"
    )
    parser.add_argument("--profile", metavar="NAME", help="the profile of capa.toml")
    parser.add_argument("--json", action="store_true", help="print data instead of text")


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="these topics; all by default")
    parser.add_argument(
        "--most", type=_positive, default=1000, metavar="N", help="at most N topics; 1000 by default"
    )


def _add_peek(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC", help="the topic to inspect")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--group",
        metavar="NAME",
        help="messages that wait for this group; the only one of the topic, or `default`, if not given",
    )
    which.add_argument("--dead", action="store_true", help="the dead letters of the topic")
    parser.add_argument(
        "--most", type=_positive, default=10, metavar="N", help="at most N messages; 10 by default"
    )
    parser.add_argument("--after", default="", metavar="POSITION", help="continue after this message")
    parser.add_argument(
        "--bytes", type=_positive, default=400, metavar="N", help="at most N bytes of a body; 400 by default"
    )
    parser.add_argument("--raw", action="store_true", help="bodies as they are stored, with their envelopes")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC", help="the topic whose dead letters go back to it")
    parser.add_argument(
        "--most", type=_positive, metavar="N", help="at most N messages; all that are there by default"
    )


def _add_purge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TOPIC", help="the topic to empty")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--group", metavar="NAME", help="the messages of this group alone")
    which.add_argument("--dead", action="store_true", help="the dead letters of the topic")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return number


def _list(pubsub: PubSub, arguments: argparse.Namespace) -> int:
    from capa_migration.cli import queue_view

    for topic in arguments.topics:
        check_topic(pubsub, topic, topic + DEAD)
    found = survey(pubsub, arguments.topics, most=arguments.most)
    code = FAILED if found.unread else CLEAN
    if arguments.json:
        return print_json(found.as_data(), code)
    queue_view.print_topics(found)
    return code


def _peek(pubsub: PubSub, arguments: argparse.Namespace) -> int:
    from capa_migration.cli import queue_view

    read_bytes = _kept_bytes(arguments) if arguments.raw else max(_kept_bytes(arguments), _ENVELOPE_BYTES)
    group: str | None = None
    limits = {"most": arguments.most, "after": arguments.after, "max_bytes": read_bytes}
    if arguments.dead:
        check_topic(pubsub, arguments.topic, arguments.topic + DEAD)
        letters = [
            replace(letter, message=_opened(letter.message, arguments))
            for letter in pubsub.dead_letters(arguments.topic, **limits)
        ]
        data = [queue_view.letter_data(letter) for letter in letters]
        texts = [queue_view.letter_lines(letter, arguments.bytes) for letter in letters]
        last = letters[-1].message.position if letters else ""
    else:
        check_topic(pubsub, arguments.topic)
        group = group_to_peek(pubsub, arguments.topic, arguments.group)
        messages = [_opened(message, arguments) for message in pubsub.peek(arguments.topic, group, **limits)]
        data = [queue_view.message_data(message) for message in messages]
        texts = [queue_view.message_lines(message, arguments.bytes) for message in messages]
        last = messages[-1].position if messages else ""
    if arguments.json:
        return print_json({"topic": arguments.topic, "group": group, "messages": data}, CLEAN)
    queue_view.print_messages(texts, last if len(texts) == arguments.most else "")
    return CLEAN


def _opened(message: PeekedMessage, arguments: argparse.Namespace) -> PeekedMessage:
    """Return *message* as a handler gets it, or as it is stored if that is asked for, with a body cut as asked for."""
    message = message if arguments.raw else message.unwrapped()
    return replace(message, data=message.data[: _kept_bytes(arguments)])


def _kept_bytes(arguments: argparse.Namespace) -> int:
    # A few bytes more than are shown, so that a character of several bytes at the edge does not look binary.
    return int(arguments.bytes) + 4


def _replay(pubsub: PubSub, arguments: argparse.Namespace) -> int:
    from capa_migration.cli import queue_view

    check_topic(pubsub, arguments.topic, arguments.topic + DEAD)
    count = pubsub.replay(arguments.topic, most=arguments.most)
    left = letters_left(pubsub, arguments.topic)
    moved = f"{queue_view.counted(count, 'dead letter')} of {arguments.topic} moved back to it"
    with output_of(moved if count else ""):
        if arguments.json:
            return print_json({"topic": arguments.topic, "replayed": count, **left._asdict()}, CLEAN)
        queue_view.print_line(moved)
        _print_held(left.held)
        if left.waiting:
            cause = "they have come or died again meanwhile"
            cause = cause if arguments.most is None else f"--most left them, or {cause}"
            letters = queue_view.counted(left.waiting, "dead letter")
            queue_view.print_line(f"{letters} more there now: {cause}; run it again to move them too")
    return CLEAN


def _print_held(held: int) -> None:
    from capa_core.blocks.pubsub.inspection import REPLAY_LEASE_S
    from capa_migration.cli import queue_view

    if held:
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + REPLAY_LEASE_S))
        queue_view.print_line(
            f"{held:,} more {'is' if held == 1 else 'are'} held by another replay or consumer; "
            f"a replay that was killed holds them until {until} at the latest: run it again then"
        )


def _purge(pubsub: PubSub, arguments: argparse.Namespace) -> int:
    from capa_migration.cli import queue_view

    topic = arguments.topic + DEAD if arguments.dead else arguments.topic
    check_topic(pubsub, arguments.topic, *([topic] if arguments.dead else []))
    if arguments.group:
        check_group(pubsub, topic, arguments.group)
    subject = f"all messages of {topic}" + (f" for group {arguments.group}" if arguments.group else "")
    if not arguments.yes and not confirms(
        queue_view.shown(f"Remove {subject} in component {pubsub.name}?"), "purge", "remove"
    ):
        print("nothing was removed", file=sys.stderr)
        return CLEAN
    count = pubsub.purge(topic, arguments.group)
    removed = f"{queue_view.counted(count, 'message')} removed from {topic}"
    with output_of(f"{removed}, for good" if count else ""):
        if arguments.json:
            return print_json({"topic": topic, "group": arguments.group, "removed": count}, CLEAN)
        queue_view.print_line(removed)
    return CLEAN


_ADD = {"list": _add_list, "peek": _add_peek, "replay": _add_replay, "purge": _add_purge}
_RUN = {"list": _list, "peek": _peek, "replay": _replay, "purge": _purge}
