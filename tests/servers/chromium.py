"""Browser for tests: Chromium without a window, driven by chromedriver, with its profile in a temporary folder."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ._program import Program

PROGRAM = Program("chromium", "chromium", install="apt-get install chromium chromium-driver", usual=True)
_DRIVER = Program("chromium", "chromedriver", install=PROGRAM.install)


def _open(folder: Path, *, width: int, height: int, dark: bool) -> Any:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = PROGRAM.require()
    words = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]
    # The browser itself must not reach the network either.
    words += ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
    # Set at the start: emulation by DevTools does not hold for every page that the browser opens.
    words.append(f"--blink-settings=preferredColorScheme={0 if dark else 1}")
    for word in [*words, f"--user-data-dir={folder}", f"--window-size={width},{height}"]:
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options, Service(_DRIVER.require(), log_output=str(folder.with_suffix(".log"))))
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return browser


@pytest.fixture
def open_browser(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a way to start a browser of a given size and preferred theme, closed when the test ends."""
    with ExitStack() as stack:
        number = itertools.count()

        def start(*, width: int = 1280, height: int = 900, dark: bool = False) -> Any:
            folder = tmp_path / f"chromium-{next(number)}"
            browser = _open(folder, width=width, height=height, dark=dark)
            stack.callback(browser.quit)
            return browser

        yield start


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Share one browser of a desktop's size over the run of a worker; later tests see its stored data."""
    found = _open(tmp_path_factory.mktemp("chromium") / "shared", width=1280, height=900, dark=False)
    yield found
    found.quit()
