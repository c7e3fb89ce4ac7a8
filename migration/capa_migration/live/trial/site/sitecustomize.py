# ruff: noqa: INP001 - a folder for PYTHONPATH, not a package
"""Start-up hook of a trial: Python imports it because `capa run` has put its folder on PYTHONPATH."""

import os
import sys


def _install() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    try:
        from capa_migration.live.trial.hook import install
    except ImportError as error:
        # Without the hook the application would run on the originals, and the trial would show nothing.
        sys.stderr.write(
            f"capa run: {sys.executable} cannot load Capa ({error}): "
            f"install capa-core with the migrate extra into the environment of the application\n"
        )
        sys.stderr.flush()
        os._exit(3)
    install(os.environ)
    _import_hidden_sitecustomize()


def _import_hidden_sitecustomize() -> None:
    """Import the `sitecustomize` of the application or the system, which this one hides."""
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401 - the application's or the system's
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours


_install()
