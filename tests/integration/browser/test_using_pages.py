"""What a person does with the pages: log in, mute, sort, search, zoom, follow a point of a chart."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from case_monitor.domain.status import Status
from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade
from case_monitor.store.read.alerts import StoredAlert, load_alert_lives
from case_monitor.store.write import save_evaluation
from tests.integration.browser.serving import serving
from tests.integration.browser.watched import Watched, watched
from tests.support.factories import a_gallery, an_evaluation

TOKEN = "a token that may write alerts"
ZOOMED_IN = re.compile(r"^(?!1\.00$)[1-9]")  # a factor above one, with two decimals
NAMES = ("cat", "dog", "<script>alert(1)</script>", 'quo"te', *(f"class {u:02d}" for u in range(4, 60)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    url = f"sqlite:///{folder / 'results.db'}"
    upgrade(url)
    engine = connect(url)
    for version, status in ((1, Status.PASS), (2, Status.FAIL)):
        evaluation = an_evaluation(version=version, class_names=NAMES, num_samples=600, status=status)
        save_evaluation(engine, evaluation, gallery=a_gallery(evaluation))
    engine.dispose()
    (folder / "case-monitor.yaml").write_text(f"database_url: {url}\nwrite_token: {TOKEN}\n")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder / "case-monitor.yaml") as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Watched]:
    with watched(browser, address, timezone_id="Asia/Tokyo") as page:
        yield page
        assert page.problems == []


def the_alert(folder: Path) -> StoredAlert:
    engine = connect(f"sqlite:///{folder / 'results.db'}")
    [alert] = load_alert_lives(engine)
    engine.dispose()
    return alert


def test_an_alert_is_muted_and_heard_again(page: Watched, folder: Path) -> None:
    page.open("/alerts")
    expect(page.page.locator("summary", has_text="Mute")).to_have_count(0)
    page.follow(page.page.get_by_role("link", name="log in with the write token"))
    page.page.get_by_label("Token").fill(TOKEN)
    page.follow(page.page.get_by_role("main").get_by_role("button", name="Log in"))
    page.page.locator("summary", has_text="Mute").click()
    form = page.page.locator("form[action*='/mute']")
    until = datetime.now() + timedelta(days=3)
    form.locator("input[type='datetime-local']").fill(f"{until:%Y-%m-%d}T09:30")
    form.get_by_label("Why").fill("a fix is <b>under way</b>")
    form.get_by_label("Who mutes it").fill("Zoë <i>Müller</i>")
    page.follow(form.get_by_role("button"))
    expect(page.page.get_by_role("status")).to_be_visible()
    muted = the_alert(folder)
    assert (muted.mute_reason, muted.muted_by) == ("a fix is <b>under way</b>", "Zoë <i>Müller</i>")
    assert f"{muted.muted_until:%Y-%m-%d %H:%M}" == f"{until:%Y-%m-%d} 00:30"  # nine hours before Tokyo
    expect(page.page.locator("article.alert")).to_contain_text("a fix is <b>under way</b>")
    page.follow(page.page.get_by_role("button", name="Unmute"))
    assert the_alert(folder).muted_until is None


def test_who_is_not_logged_in_changes_nothing(page: Watched, folder: Path) -> None:
    answer = page.page.request.post(f"{page.address}/alerts/{the_alert(folder).id}/mute", form={"reason": "x"})
    assert answer.status in {401, 403}
    assert the_alert(folder).mute_reason is None


def first_cells(rows: Locator) -> list[str]:
    return [text.strip() for text in rows.locator("th").all_inner_texts()]


def test_classes_are_sorted_and_searched(page: Watched) -> None:
    page.open("/evaluation/2/classes")
    rows = page.page.locator("main table tbody tr")
    assert len(first_cells(rows)) == 50
    page.follow(page.page.get_by_role("columnheader", name="Active channels").get_by_role("link"))
    # The factory's classes have 12.5 + their index.
    header = page.page.get_by_role("columnheader", name="Active channels")
    descending = header.get_attribute("aria-sort") == "descending"
    expected = NAMES[::-1][:50] if descending else NAMES[:50]
    assert [name in shown for name, shown in zip(expected, first_cells(rows), strict=True)] == [True] * 50
    page.page.locator("input[name=q]").fill("quo")
    page.follow(page.page.get_by_role("button", name="Filter"))
    assert [NAMES[3] in shown for shown in first_cells(rows)] == [True]


def test_the_matrix_is_used_by_keyboard(page: Watched) -> None:
    page.open("/evaluation/2/confusion")
    matrix = page.page.locator("[data-matrix]")
    expect(matrix).to_have_attribute("data-drawn", "yes")
    expect(matrix).to_have_attribute("data-zoomed", "1.00")
    matrix.locator("canvas").focus()
    page.page.keyboard.press("ArrowRight")
    told = page.page.locator("[data-told]")
    expect(told).to_contain_text("cat")
    page.page.keyboard.press("+")
    page.page.keyboard.press("+")
    expect(matrix).to_have_attribute("data-zoomed", ZOOMED_IN)
    page.page.keyboard.press("0")
    expect(matrix).to_have_attribute("data-zoomed", "1.00")


def test_the_gallery_shows_the_top_pixels(page: Watched) -> None:
    page.open("/evaluation/2/gallery")
    sources = page.page.eval_on_selector_all("main img", "all => all.map(image => image.src)")
    assert any("view=heat" in source for source in sources)
    page.follow(page.page.get_by_role("link", name="Show only the top 5%"))
    page.draw_everything()
    widths = page.page.eval_on_selector_all("main img", "all => all.map(image => image.naturalWidth)")
    assert len(widths) > 10
    assert min(widths) > 0
    sources = page.page.eval_on_selector_all("main img", "all => all.map(image => image.src)")
    assert any("view=top" in source for source in sources)


def test_a_point_of_a_chart_leads_to_its_evaluation(page: Watched) -> None:
    page.open("/model?name=digits")
    chart = page.page.locator("#chart-accuracy .plot")
    chart.evaluate("plot => plot.emit('plotly_click', {points: [{customdata: ['/evaluation/2']}]})")
    page.page.wait_for_url("**/evaluation/2")
    expect(chart).to_have_count(0)


def test_versions_are_chosen_and_compared(page: Watched) -> None:
    page.open("/compare?model=digits")
    page.page.locator("select[name=candidate]").select_option("1")
    page.page.locator("select[name=baseline]").select_option("2")
    page.follow(page.page.get_by_role("button", name="Compare"))
    expect(page.page.locator("h1")).to_have_text("Version 1 against version 2")
    page.follow(page.page.get_by_role("link", name="Swap"))
    expect(page.page.locator("h1")).to_have_text("Version 2 against version 1")
