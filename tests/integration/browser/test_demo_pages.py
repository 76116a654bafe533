"""Every page of the demo's store, by every link, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.integration.browser.serving import serving
from tests.integration.browser.watched import Scheme, watched
from tests.integration.conftest import Demo


@pytest.fixture(scope="module")
def address(demo: Demo) -> Iterator[str]:
    with serving(demo.config) as address:
        yield address


def kind(path: str) -> str:
    """What is to be visited once in each look: the page, without its query and numbers."""
    return "".join("#" if part.isdigit() else f"/{part}" for part in path.split("?")[0].split("/"))


def test_every_link_works(browser: Browser, address: str) -> None:
    with watched(browser, address) as page:
        waiting, seen = ["/"], {"/"}
        while waiting:
            path = waiting.pop()
            if path.startswith("/api/") or "download" in path:
                answer = page.page.request.get(address + path)
                assert answer.ok, f"{path}: {answer.status}"
                continue
            assert page.open(path).ok, path
            new = [link for link in page.links() if link not in seen]
            seen.update(new)
            waiting += new
        assert page.problems == []
    assert {kind(path) for path in seen} >= {
        "/",
        "/model",
        "/compare",
        "/seeds",
        "/alerts",
        "/evaluation#",
        "/evaluation#/classes",
        "/evaluation#/confusion",
        "/evaluation#/gallery",
    }


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit(browser: Browser, address: str, width: int, scheme: Scheme) -> None:
    with watched(browser, address, width=width, scheme=scheme) as page:
        for path in one_of_each(page.address, browser):
            page.open(path)
            page.draw_everything()
            assert page.inaccessible() == [], path
            assert page.overflow() <= 0, path
        assert page.problems == []


def one_of_each(address: str, browser: Browser) -> list[str]:
    """A path for each kind of page, found by following links."""
    found: dict[str, str] = {"/": "/"}
    waiting = ["/"]
    with watched(browser, address) as page:
        while waiting:
            page.open(waiting.pop())
            for link in page.links():
                if not link.startswith("/api/") and kind(link) not in found:
                    found[kind(link)] = link
                    waiting.append(link)
    return list(found.values())
