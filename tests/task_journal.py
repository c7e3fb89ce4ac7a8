"""Judge of a run with kills: which tasks were sent, and which ran how often, from the files that both sides wrote.

    python -I tests/task_journal.py SENT RAN

Each file has one name on a line, and maybe more after a colon. It imports nothing but the standard library, so that
what is judged cannot take part. Prints one line of counts, and exits 1 if a task was lost, or ran that nobody had sent.
"""

import sys
from collections import Counter
from pathlib import Path


def judge(sent: Path, ran: Path) -> tuple[str, bool]:
    """Return a line of counts, and whether each task that was sent has run, and no other."""
    asked, counts = set(_lines(sent)), Counter(_lines(ran))
    lost, unknown = asked - counts.keys(), counts.keys() - asked
    twice = sum(counts[name] - 1 for name in counts if name in asked)
    line = (
        f"sent={len(asked)} done={len(asked) - len(lost)} lost={len(lost)} duplicated={twice} "
        f"unknown={len(unknown)}"
    )
    return line, not lost and not unknown


def _lines(file: Path) -> list[str]:
    text = file.read_text()
    # A line without an end is of a process that was killed while it wrote it.
    return [line.partition(":")[0] for line in text[: text.rfind("\n") + 1].split("\n")[:-1]]


if __name__ == "__main__":
    verdict, fine = judge(Path(sys.argv[1]), Path(sys.argv[2]))
    print(verdict)
    sys.exit(not fine)
