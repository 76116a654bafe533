"""Pages of a large store: 50 models of 200 versions with hostile names, and one model of a thousand classes."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import URL, Connection, create_engine, text

from case_monitor.dashboard.shell.rendering import address as address_of
from case_monitor.store.migrate import upgrade
from tests.integration.browser.crawl import is_page, kind, one_of_each
from tests.integration.browser.serving import serving
from tests.integration.browser.watched import Scheme, watched
from tests.support.generated_store import HOSTILE_NAME, LARGE_NAME, fill

TOKEN = "a token that may write alerts"


@pytest.fixture(scope="module")
def store(postgres_server: URL, postgres_admin: Connection) -> Iterator[str]:
    """The URL of a filled PostgreSQL database."""
    name = "case_monitor_generated"
    postgres_admin.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    url = postgres_server.set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    engine = create_engine(url)
    fill(engine)
    engine.dispose()
    yield url
    postgres_admin.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def address(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config: Path = tmp_path_factory.mktemp("service") / "case-monitor.yaml"
    config.write_text(f"database_url: {store}\nwrite_token: {TOKEN}\n")
    with serving(config) as address:
        yield address


@pytest.fixture(scope="module")
def large(store: str) -> int:
    """The last evaluation of the model with a thousand classes."""
    query = text(
        "SELECT max(e.id) FROM evaluations e JOIN model_versions m ON m.id = e.model_version_id WHERE m.name = :name"
    )
    with create_engine(store).connect() as connection:
        return int(connection.execute(query, {"name": LARGE_NAME}).scalar_one())


def test_every_model_is_on_the_first_page(browser: Browser, address: str) -> None:
    with watched(browser, address) as page:
        page.open("/")
        assert page.page.locator("table.models tbody tr").count() == 51
        assert page.problems == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_each_kind_of_page_of_a_hostile_model(browser: Browser, address: str, width: int, scheme: Scheme) -> None:
    start = address_of("/model", name=HOSTILE_NAME)
    pages = one_of_each(browser, address, start)
    with watched(browser, address, width=width, scheme=scheme) as page:
        page.page.on("dialog", lambda dialog: page.problems.append(f"a dialog: {dialog.message}"))
        for path in pages.values():
            page.open(path)
            page.draw_everything()
            assert page.inaccessible() == [], path
            assert page.overflow() <= 0, path
        page.open(start)
        expect(page.page.locator("h1")).to_contain_text("<script>alert('model')</script> 50% & more?x=1#top/../äöü")
        assert page.problems == []


def test_links_of_a_model_work(browser: Browser, address: str) -> None:
    """Of many alike links, a few of each kind."""
    with watched(browser, address) as page:
        page.open(address_of("/model", name=LARGE_NAME))
        by_kind: dict[str, list[str]] = {}
        for link in page.links():
            by_kind.setdefault(kind(link), []).append(link)
        for links in by_kind.values():
            for link in links[:3]:
                answer = page.open(link) if is_page(link) else page.page.request.get(address + link)
                assert answer.ok, link
        assert page.problems == []


@pytest.mark.parametrize("part", ["", "/classes", "/confusion", "/gallery"])
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
def test_a_thousand_classes(browser: Browser, address: str, large: int, part: str, width: int, scheme: Scheme) -> None:
    with watched(browser, address, width=width, scheme=scheme) as page:
        response = page.open(f"/evaluation/{large}{part}")
        assert len(response.body()) < 1_500_000
        page.draw_everything()
        assert page.inaccessible() == []
        assert page.overflow() <= 0
        assert page.problems == []


def test_the_overview_filters(browser: Browser, address: str) -> None:
    with watched(browser, address) as page:
        page.open("/")
        page.page.get_by_label("Name").fill("IMAGENET")
        page.follow(page.page.get_by_role("button", name="Filter"))
        assert re.search(r"[?&]q=IMAGENET", page.page.url)
        expect(page.page.locator("table.models tbody tr")).to_have_count(1)
        expect(page.page.locator("table.models")).to_contain_text(LARGE_NAME)
        page.follow(page.page.get_by_role("link", name="Show all"))
        expect(page.page.locator("table.models tbody tr")).to_have_count(51)


def test_the_theme_is_kept(browser: Browser, address: str) -> None:
    with watched(browser, address, scheme="light") as page:
        page.open("/")
        light = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
        switch = page.page.get_by_role("button", name="Theme")
        switch.click()
        switch.click()
        expect(switch).to_have_text("Theme: dark")
        page.open("/alerts")
        expect(page.page.get_by_role("button", name="Theme")).to_have_text("Theme: dark")
        assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_times_are_in_the_viewers_zone(browser: Browser, address: str) -> None:
    with watched(browser, address, timezone_id="Asia/Tokyo", locale="en-GB") as page:
        page.open("/")
        shown = page.page.locator("time").first
        moment = shown.get_attribute("datetime")
        assert moment is not None
        in_tokyo = datetime.fromisoformat(moment).astimezone(ZoneInfo("Asia/Tokyo"))
        expected = f"{in_tokyo.day} {in_tokyo:%b %Y, %H:%M}"
        expect(shown).to_have_text(expected)
        expect(page.page.locator("footer")).to_contain_text("Asia/Tokyo")


def test_the_skip_link_is_the_first_thing_a_keyboard_finds(browser: Browser, address: str) -> None:
    with watched(browser, address) as page:
        page.open("/")
        page.page.keyboard.press("Tab")
        expect(page.page.locator(":focus")).to_have_text("Skip to the content")
        page.page.keyboard.press("Enter")
        expect(page.page.locator(":focus")).to_have_id("main")
