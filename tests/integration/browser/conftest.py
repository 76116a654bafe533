"""A real browser, and the service over real stores."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.integration.browser.provide_browser import VARIABLE, find_browser

# As root Chromium has no sandbox; the rest keeps it from asking the outside for anything.
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, once for all tests of this folder: afterwards its event loop is gone, which others would trip over."""
    program = find_browser()
    if program is None:
        message = f"no Chromium: `make test` installs one where it can, {VARIABLE}=/path names one"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()
