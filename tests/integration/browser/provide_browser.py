"""A Chromium for the tests: the one that is there, or one that is installed now.

`python -m tests.integration.browser.provide_browser` installs one where none is found, and says so where it cannot.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

VARIABLE = "CASE_MONITOR_TEST_BROWSER"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """The program that the environment names, or one on the path, or Playwright's own; None: there is none."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    on_path = next(filter(None, map(shutil.which, _NAMES)), None)
    return on_path or _of_playwright()


def _of_playwright() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = playwright.chromium.executable_path
    return program if Path(program).exists() else None


def main() -> None:
    """Install a browser if there is none. Without one the browser tests are skipped; under CI they fail."""
    if find_browser():
        return
    print("No Chromium found; installing one for the browser tests.", flush=True)
    if shutil.which("apt-get") and os.geteuid() == 0:
        commands = [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]]
    else:
        commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    done = all(subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0 for command in commands)
    if not done or not find_browser():
        print(f"No Chromium could be installed: the browser tests are skipped. {VARIABLE}=/path names one.", flush=True)


if __name__ == "__main__":
    main()
