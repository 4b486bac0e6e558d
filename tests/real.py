"""Real parts: an app as a server in a process of its own, and a Chromium. For the tests and the benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ViewportSize, sync_playwright

ROOT = Path(__file__).parent.parent
DESKTOP: ViewportSize = {"width": 1366, "height": 768}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
# The headless shell draws pages and nothing around them: a sixth less work.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync"""
# Forward shows all that it shows without scrolling.
SETTLED = "window.lab && ['film', 'curves'].every(name => lab.charts[`forward-${name}`]?.idle)"
STARTING = 120  # seconds that an app may take


@contextmanager
def served(*command: str, log: Path) -> Iterator[str]:
    """The address, without a trailing slash, of `python *command`, a Gradio app; what it prints goes to `log`.

    AssertionError, with the log, if it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False"}
    environment = os.environ | settings | {"PYTHONUNBUFFERED": "1"}
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        deadline, address = time.monotonic() + STARTING, f"http://127.0.0.1:{port}"
        while not _answers(address):
            assert process.poll() is None and time.monotonic() < deadline, f"did not start: {log.read_text()}"
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/gradio_api/app_id", timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser on the PATH, or else Playwright's own; without either, Playwright says how to get one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS.split())
        yield browser
        browser.close()
