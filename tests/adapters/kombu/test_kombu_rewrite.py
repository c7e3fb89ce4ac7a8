"""The rewrite moves an application from kombu to capa_kombu, and it does as before."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import kombu.mixins
from kombu import Connection, Exchange, Queue, uuid
from kombu.transport import pyamqp, virtual
from kombu.utils import uuid as second

ADDRESS = "memory://"
exchange = Exchange("events", type="topic")


def main():
    with Connection(ADDRESS) as connection:
        queue = Queue("q", exchange, routing_key="a.*")(connection.default_channel)
        queue.declare()
        connection.Producer().publish({"n": 1}, exchange=exchange, routing_key="a.b")
        print(queue.get(no_ack=True).payload, uuid is second, kombu.mixins.ConsumerMixin.__name__)


main()
"""


def _printed(folder: Path) -> str:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_program_moves_and_prints_the_same(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "requirements.txt").write_text("kombu>=5.3\n")
    before = _printed(tmp_path)
    capa = Path(sys.executable).parent / "capa"
    subprocess.run([capa, "migrate", "apply", tmp_path], check=True, capture_output=True)
    text = (tmp_path / "app.py").read_text()

    assert "from capa_kombu import Connection, Exchange, Queue, uuid\n" in text
    assert "from kombu.transport import pyamqp\nfrom capa_kombu.transport import virtual\n" in text
    assert "from capa_kombu.utils import uuid as second\n" in text
    assert "kombu>=5.3\ncapa-core[kombu]\n" == (tmp_path / "requirements.txt").read_text()
    assert "{'n': 1} True ConsumerMixin\n" == before == _printed(tmp_path)
