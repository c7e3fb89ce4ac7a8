"""Adding an adapter is adding one folder: a made-up SDK gets one here, and every reader of import maps finds it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capa_core.shims.generate import main as generate

# The SDK: two modules that an application imports.
VENDOR = {
    "mailer/__init__.py": """
__version__ = "2.1.0"

class Mailer:
    def __init__(self, address):
        self.address = address

    def send(self, text):
        return self._deliver(text)

    def _deliver(self, text):
        return f"{text} over the network to {self.address}"
""",
    "mailer/formats.py": 'GREETING = "Dear"\n',
}
# The adapter: its import map, and the one class whose back half is replaced.
ADAPTER = {
    "capa_mailer/import_map.toml": """
[sdk]
name = "mailer"
package = "capa_mailer"
extra = "mailer"
roots = ["mailer"]
distributions = ["mailer"]
versions = ">=2,<3"
sides = ["capa", "legacy"]

[modules]
"mailer" = "capa_mailer"
"mailer.formats" = "capa_mailer.formats"
""",
    "capa_mailer/__init__.py": '''
"""`mailer`, served by Capa."""

from capa_core import shims
from capa_mailer._sdk import SDK

try:
    import mailer as _original
except ModuleNotFoundError as error:
    raise shims.missing_original(SDK, error) from error
if (_unsupported := shims.unsupported_original(SDK)) is not None:
    raise _unsupported


def _settings(runtime):
    from capa_core.shims.settings import AdapterSettings, adapter_settings

    return adapter_settings(runtime, SDK, AdapterSettings)


_current_settings = shims.PerRuntime(_settings)


class Mailer(_original.Mailer):
    """A `mailer.Mailer` whose messages go through pub/sub."""

    def _deliver(self, text):
        if _current_settings().side is shims.Side.LEGACY:
            return super()._deliver(text)
        name = shims.logical_name("pubsub", self.address) or "mail"
        return shims.current_runtime().pubsub(name).publish("mail", text)


shims.mirror(__name__, _original)
''',
}
# The line that registers it, as an installation writes it.
ENTRY_POINT = {
    "capa_mailer-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: capa-mailer\nVersion: 1\n",
    "capa_mailer-1.dist-info/entry_points.txt": "[capa.adapters]\nmailer = capa_mailer\n",
}
CAPA = Path(sys.executable).with_name("capa")
APPLICATION = (
    "from mailer import Mailer\nfrom mailer.formats import GREETING\n\nMAILER = Mailer('smtp://post')\n"
)


@pytest.fixture
def site(tmp_path):
    """A folder on the path of programs that holds the SDK and its adapter."""
    for name, text in {**VENDOR, **ADAPTER, **ENTRY_POINT}.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"))
    assert 0 == generate([str(tmp_path / "site" / "capa_mailer")])
    (tmp_path / "application").mkdir()
    (tmp_path / "application" / "app.py").write_text(APPLICATION)
    return tmp_path / "site"


def output_of(site: Path, *command: str | Path, code: int = 0, **environ: str) -> str:
    """Return the output of a program in the folder of the application; it must exit with *code*."""
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, *command],
        cwd=site.with_name("application"),
        env={**os.environ, "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
    )
    assert code == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_it_is_two_files_by_hand_and_one_line(site):
    written = {path.name for path in (site / "capa_mailer").iterdir() if path.is_file()}

    assert {"__init__.py", "import_map.toml"} == {Path(name).name for name in ADAPTER}
    assert {"__init__.py", "import_map.toml", "_sdk.py", "formats.py"} == written


@pytest.mark.parametrize(
    ("side", "output"), [("capa", "through Capa"), ("legacy", "hello over the network to smtp://post")]
)
def test_either_side_serves_it(site, side, output):
    program = (
        "import capa_mailer as mailer; "
        "sent = mailer.Mailer('smtp://post').send('hello'); "
        "print(sent if 'network' in str(sent) else 'through Capa')"
    )

    assert f"{output}\n" == output_of(site, "-c", program, CAPA_ADAPTERS__MAILER__SIDE=side)


def test_an_unchanged_module_is_the_originals(site):
    program = "import mailer.formats, capa_mailer.formats as ours; print(ours is mailer.formats)"

    assert "True\n" == output_of(site, "-c", program)


def test_the_doctor_shows_it(site):
    found = json.loads(output_of(site, CAPA, "doctor", "--json"))

    (row,) = [row for row in found["adapters"] if row["sdk"] == "mailer"]
    assert ("capa_mailer", ">=2,<3", "capa") == (row["adapter"], row["supported"], row["side"])


def test_the_rewrite_moves_its_names(site):
    shown = output_of(site, CAPA, "migrate", "diff", ".", code=1)

    assert "+from capa_mailer import Mailer\n+from capa_mailer.formats import GREETING\n" in shown
