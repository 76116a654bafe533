"""A browser page that forgives nothing: what goes wrong in it is an entry of `problems`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response

Scheme = Literal["light", "dark"]


@dataclass
class Watched:
    """A page of the service at `address`, and everything that it did wrong so far."""

    page: Page
    address: str
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> Response:
        """Go to a path of the service, and wait until everything is there and drawn."""
        response = self.page.goto(self.address + path)
        assert response is not None
        self.settle()
        return response

    def follow(self, target: Locator) -> None:
        """Click what leads to another page, and wait until that one is there and drawn."""
        with self.page.expect_navigation():  # a click returns before the next page has begun
            target.click()
        self.settle()

    def settle(self) -> None:
        """Wait for scripts, requests, pictures and the charts in view."""
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function(
            "[...document.querySelectorAll('[data-chart]')].every(chart => chart.dataset.drawn"
            " || chart.getBoundingClientRect().top > innerHeight + 300)"
        )

    def draw_everything(self) -> None:
        """Scroll through, so that what is drawn when it comes into view is drawn."""
        self.page.evaluate(
            "async () => { for (let y = 0; y < document.body.scrollHeight; y += 700) {"
            " scrollTo({top: y, behavior: 'instant'}); await new Promise(done => setTimeout(done, 50)); }"
            " scrollTo({top: 0, behavior: 'instant'}); }"
        )
        self.page.wait_for_function(
            "[...document.querySelectorAll('[data-chart]')].every(chart => chart.dataset.drawn)"
        )
        self.page.evaluate(
            "Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode(); }))"
        )
        self.settle()

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        wider: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return wider

    def inaccessible(self) -> list[str]:
        """What axe-core finds serious or critical."""
        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        return [
            f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['html'][:200]}"
            for rule in found
            if rule["impact"] in {"serious", "critical"}
            for node in rule["nodes"][:3]
        ]

    def links(self) -> list[str]:
        """Where the page leads to within the service: paths with their queries."""
        found: list[str] = self.page.eval_on_selector_all(
            "a[href]", "all => all.filter(a => a.origin === location.origin).map(a => a.pathname + a.search)"
        )
        return list(dict.fromkeys(found))


@contextmanager
def watched(
    browser: Browser, address: str, *, width: int = 1440, scheme: Scheme = "light", **more: Any
) -> Iterator[Watched]:
    """A fresh page, without cookies, that listens to its console and to its requests."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
    page = Watched(context.new_page(), address)

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            page.problems.append(f"console {message.type} on {page.page.url}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            page.problems.append(f"external request on {page.page.url}: {request.url}")

    page.page.on("console", heard)
    page.page.on("request", asked)
    page.page.on("pageerror", lambda error: page.problems.append(f"error on {page.page.url}: {error}"))
    page.page.on("requestfailed", lambda request: page.problems.append(f"failed: {request.url}: {request.failure}"))
    try:
        yield page
    finally:
        context.close()
