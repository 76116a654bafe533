"""Following links, as a visitor would."""

from playwright.sync_api import Browser

from tests.integration.browser.watched import Watched, watched


def kind(path: str) -> str:
    """What makes two addresses the same page with other content: the path without numbers and query."""
    page = path.split("?")[0]
    return "/".join("#" if part.isdigit() else part for part in page.split("/"))


def is_page(path: str) -> bool:
    """Whether a browser shows it; the others are downloads and JSON."""
    return not path.startswith("/api/") and not path.endswith((".csv", ".json", ".parquet", ".png"))


def every_link(page: Watched, start: str = "/", limit: int = 1000) -> set[str]:
    """Visit whatever can be reached; each address must answer. Returns the addresses."""
    waiting, seen = [start], {start}
    while waiting:
        path = waiting.pop()
        if is_page(path):
            assert page.open(path).ok, path
            new = [link for link in page.links() if link not in seen and len(seen) < limit]
            seen.update(new)
            waiting += new
        else:
            answer = page.page.request.get(page.address + path)
            assert answer.ok, f"{path}: {answer.status}"
    return seen


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
