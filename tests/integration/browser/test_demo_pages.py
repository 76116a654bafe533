"""Every page of the demo's store, by every link, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.integration.browser.crawl import every_link, kind, one_of_each
from tests.integration.browser.serving import serving
from tests.integration.browser.watched import Scheme, watched
from tests.integration.conftest import Demo

PAGES = {
    "/",
    "/model",
    "/compare",
    "/seeds",
    "/alerts",
    "/evaluation/#",
    "/evaluation/#/classes",
    "/evaluation/#/confusion",
    "/evaluation/#/gallery",
}


@pytest.fixture(scope="module")
def address(demo: Demo) -> Iterator[str]:
    with serving(demo.config) as address:
        yield address


def test_every_link_works(browser: Browser, address: str) -> None:
    with watched(browser, address) as page:
        seen = every_link(page)
        assert page.problems == []
    assert {kind(path) for path in seen} >= PAGES


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
def test_pages_are_accessible_and_fit(browser: Browser, address: str, width: int, scheme: Scheme) -> None:
    with watched(browser, address, width=width, scheme=scheme) as page:
        for path in one_of_each(browser, address).values():
            page.open(path)
            page.draw_everything()
            assert page.inaccessible() == [], path
            assert page.overflow() <= 0, path
        assert page.problems == []
