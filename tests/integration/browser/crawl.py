"""Following links, as a visitor would."""

from collections import Counter, deque
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

from playwright.sync_api import Browser

from tests.integration.browser.watched import Watched, watched


def kind(path: str) -> str:
    """What makes two addresses the same page with other content: the path without numbers and query."""
    page = path.split("?")[0]
    return "/".join("#" if part.isdigit() else part for part in page.split("/"))


def is_page(path: str) -> bool:
    """Whether a browser shows it; the others are downloads and JSON."""
    return not path.startswith("/api/") and not path.endswith((".csv", ".json", ".parquet", ".png"))


def every_link(page: Watched, start: str = "/", *, shown: int = 5, most: int = 1500) -> set[str]:
    """Follow what can be reached, nearest first; each address must answer. Returns the addresses.

    A browser shows the first few of every kind of page; the others, which differ in their filters, are only fetched.
    """
    waiting, seen, visits = deque([start]), {start}, Counter[str]()
    while waiting:
        path = waiting.popleft()
        visits[kind(path)] += 1
        if is_page(path) and visits[kind(path)] <= shown:
            assert page.open(path).ok, path
            links = page.links()
        else:
            answer = page.page.request.get(page.address + path)
            assert answer.ok, f"{path}: {answer.status}"
            links = _links_in(answer.text(), path) if is_page(path) else []
        new = [link for link in links if link not in seen][: most - len(seen)]
        seen.update(new)
        waiting.extend(new)
    return seen


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if (tag, name) == ("a", "href") and value]


def _links_in(text: str, path: str) -> list[str]:
    """Addresses within the service, without their fragments."""
    parser = _Links()
    parser.feed(text)
    absolute = (urldefrag(urljoin(path, link)).url for link in parser.found)
    return [link for link in dict.fromkeys(absolute) if link.startswith("/")]


def one_of_each(browser: Browser, address: str, start: str = "/") -> dict[str, str]:
    """An address for every kind of page, found by following links."""
    found, waiting = {kind(start): start}, [start]
    with watched(browser, address) as page:
        while waiting:
            page.open(waiting.pop(0))
            for link in filter(is_page, page.links()):
                if kind(link) not in found:
                    found[kind(link)] = link
                    waiting.append(link)
    return found
