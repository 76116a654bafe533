"""`make screenshots`: every page of the demo's store, in light and dark, narrow and wide, as PNG.

`python -m tests.integration.browser.take_screenshots DEMO FOLDER`
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.integration.browser.conftest import ARGUMENTS
from tests.integration.browser.crawl import one_of_each
from tests.integration.browser.provide_browser import find_browser
from tests.integration.browser.serving import serving
from tests.integration.browser.watched import watched

WIDTHS = (360, 1440)


def main(demo: Path, folder: Path) -> None:
    """Write `PAGE-SCHEME-WIDTH.png` for each kind of page."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, serving(demo / "case-monitor.yaml") as address:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))
        pages = one_of_each(browser, address)
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                with watched(browser, address, width=width, scheme=scheme) as page:
                    for kind, path in pages.items():
                        page.open(path)
                        page.draw_everything()
                        name = kind.strip("/").replace("/#", "").replace("/", "-") or "overview"
                        page.page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True)
        browser.close()
    print(f"{len(pages) * 4} pictures in {folder}/")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]))
