"""Run the demonstration: `python -m examples.demo`, on servers by `PROFILE=redis` and others."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from examples.demo import engine
from examples.demo.console import Console
from examples.demo.fleet import DemoError
from examples.demo.shop import Shop
from examples.demo.story import LEASE_S, Story

ENDING = """
On your own repository:

    make dist                      build the wheel, in this clone
    pip install "$(ls dist/*.whl)[all]"
    capa scan PATH                 list the SDKs in use, and each call that is not served
    capa run -- python app.py      a trial: the imports are redirected, no file changes
    capa migrate diff PATH         show the changes
    capa migrate apply PATH        make them; `capa migrate undo PATH` undoes them
    capa doctor                    the component behind each block, and whether it answers
"""


_DESCRIBED = {
    "embedded": "the embedded default: no server at all",
    "redis": "a Redis of its own",
    "rabbitmq": "a RabbitMQ of its own, with results and locks on a Redis",
    "nats": "a NATS server of its own, with results and locks on a Redis",
    "kafka": "a Kafka of its own, with results and locks on a Redis",
    "postgres": "a PostgreSQL of its own, for tasks, results and locks",
    "apollo": "an Apollo server that has its values, as before the move",
    "appconfig": "a server of AppConfig's protocol that has its values: the tests' own, not AWS",
}


def main() -> int:
    """Run the demonstration and return the exit code: 0 if every order was done, else 1."""
    profile = os.environ.get("PROFILE") or "embedded"
    if profile not in _DESCRIBED:
        print(
            f"PROFILE={profile}: unknown profile: use one of {', '.join(engine.ENGINES)}, or leave it out for the"
            " embedded default",
            file=sys.stderr,
        )
        return 3
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _interrupt)
    console = Console()
    console.title(f"Capa moves a legacy application: the shop, on {_DESCRIBED[profile]}")
    work = Path(tempfile.mkdtemp(prefix="capa-demo-"))
    is_right = False
    try:
        is_right = _run(console, work, profile)
    except DemoError as error:
        console.bad(str(error))
    except KeyboardInterrupt:
        console.bad("interrupted; all processes of the demonstration are stopped")
    if is_right:
        shutil.rmtree(work)
        console.text(ENDING)
    else:
        console.text(f"the copy of the shop is kept in {work / 'shop'}, the logs in {work / 'logs'}")
    return 0 if is_right else 1


def _run(console: Console, work: Path, profile: str) -> bool:
    with ExitStack() as stack:
        shop = Shop(work)
        settings = {"CAPA_ADAPTERS__CELERY__LEASE_S": str(LEASE_S)}
        servers = engine.ENGINES.get(profile)
        if servers is not None:
            text = stack.enter_context(servers(work))
            settings["CAPA_PROFILE"] = profile
        story = Story(console, shop, settings, work / "logs")
        stack.callback(story.stop)
        story.scan()
        story.rewrite()
        if servers is not None:
            (shop.code / "capa.toml").write_text(text, "utf-8")
        story.test()
        story.start()
        story.drive()
        is_right = story.count()
        story.undo()
        return is_right


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the clean-up, or processes would be left behind.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
