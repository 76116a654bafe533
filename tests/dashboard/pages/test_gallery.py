"""The gallery: which images it shows in which order, and its pictures."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import Engine

from case_monitor.dashboard.pages.gallery.cards import shown_size
from case_monitor.dashboard.pages.gallery.page import PER_PAGE, GalleryPage, GalleryQuery, Sorting, gallery_page
from case_monitor.dashboard.pages.gallery.pictures import View, overlay
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.policy import Policy
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.top_pixels import top_pixels
from case_monitor.evidence.pictures import image_rows
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import save_evaluation
from case_monitor.store.write.pictures import image_png, map_png
from tests.support.factories import METHODS, a_gallery, an_evaluation

HOSTILE = ("<script>alert(1)</script>", "a\"b'c</script><!--", "", "\u202e{{ 7 * 7 }} & x")
SIDE = 40


def with_agreement(evaluation: Evaluation, method: str, values: list[float]) -> Evaluation:
    """The agreement of the first images as given."""
    scores = evaluation.scores
    column = scores.values[method, "agreement"].copy()
    column[: len(values)] = values
    changed: SampleScores = replace(scores, values={**scores.values, (method, "agreement"): column})
    return replace(evaluation, scores=changed)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """CASE judges; its fourth image has no agreement, and there Grad-CAM's is just high enough to be bold."""
    made = an_evaluation(class_names=HOSTILE)
    assert Policy().gate_method == "case"
    made = with_agreement(made, "case", [0.2, 0.9, 0.499, float("nan")])
    return with_agreement(made, "gradcam", [0.7, 0.1, 0.3, 0.5])


@pytest.fixture(scope="module")
def pictures(evaluation: Evaluation) -> Gallery:
    gallery = a_gallery(evaluation, side=SIDE)
    maps = {method: stack.copy() for method, stack in gallery.maps.items()}
    maps["case"][3, 1] = 0.0
    return replace(gallery, maps=maps)


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), engine)) as client:
        yield client


@pytest.fixture
def evaluation_id(engine: Engine, evaluation: Evaluation, pictures: Gallery) -> int:
    return save_evaluation(engine, evaluation, gallery=pictures)


def shown(engine: Engine, evaluation_id: int, **chosen: object) -> GalleryPage:
    return gallery_page(engine, Settings(), evaluation_id, GalleryQuery(**chosen))  # type: ignore[arg-type]


def positions(page: GalleryPage) -> list[int]:
    return [card.position for card in page.cards]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


class TestOverlay:
    """Oracle: the figures' own drawing, of the map as it was before it was stored."""

    @pytest.fixture
    def image(self) -> np.ndarray:
        return np.random.default_rng(5).integers(0, 256, (24, 36, 3), dtype=np.uint8)

    @pytest.fixture
    def level(self) -> np.ndarray:
        """In 255 steps, so that storing it loses nothing; a few are the highest, most are not 0."""
        level = np.random.default_rng(6).integers(0, 200, (24, 36))
        level.flat[::37] = 255
        return level.astype(np.float32)

    def test_heat(self, image: np.ndarray, level: np.ndarray) -> None:
        drawn = pixels(overlay(image_png(image), map_png(level * 0.013), View.HEAT))
        assert np.array_equal(drawn, image_rows.heated(image, level.astype(np.float64) / 255))

    def test_top(self, image: np.ndarray, level: np.ndarray) -> None:
        drawn = pixels(overlay(image_png(image), map_png(level), View.TOP))
        mask = top_pixels(level.astype(np.float64))
        assert mask.sum() == 43  # 5% of 864
        assert np.array_equal(drawn, image_rows.masked(image, mask))
        assert np.array_equal(drawn[mask], image[mask])

    def test_pixels_by_hand(self) -> None:
        """Grey 100; of twenty pixels one is the highest, with the last colour of inferno: (252.03, 254.58, 164.46)."""
        image = np.full((4, 5, 3), 100, dtype=np.uint8)
        level = np.zeros((4, 5), dtype=np.float32)
        level[2, 3] = 7
        heat = pixels(overlay(image_png(image), map_png(level), View.HEAT))
        assert heat[2, 3].tolist() == [214, 215, 148]  # 0.75 of the colour, 0.25 of the grey
        assert heat[0, 0].tolist() == [65, 65, 66]  # 0.35 of nearly black, 0.65 of the grey
        top = pixels(overlay(image_png(image), map_png(level), View.TOP))
        assert top[2, 3].tolist() == [100, 100, 100]
        assert top[0, 0].tolist() == [196, 196, 196]  # 255 - 0.38 * 155

    @pytest.mark.parametrize("view", View)
    def test_of_nothing_nothing_is_marked(self, image: np.ndarray, view: View) -> None:
        drawn = pixels(overlay(image_png(image), map_png(np.zeros((24, 36), dtype=np.float32)), view))
        assert np.array_equal(drawn, image_rows.masked(image, np.zeros((24, 36), dtype=bool)))


def test_pictures_are_those_that_were_saved(client: TestClient, evaluation_id: int, pictures: Gallery) -> None:
    path = f"/evaluation/{evaluation_id}/gallery/1"
    assert np.array_equal(pixels(client.get(f"{path}.png").content), pictures.images[1])
    for rank in (1, 2):
        stored = map_png(pictures.maps["gradcam++"][1, rank - 1])
        for view in View:
            answer = client.get(f"{path}/gradcam%2B%2B/{rank}.png?view={view}")
            assert answer.headers["content-type"] == "image/png"
            assert answer.content == overlay(image_png(pictures.images[1]), stored, view)


def test_browsers_keep_pictures_until_they_change(
    engine: Engine, client: TestClient, evaluation: Evaluation, pictures: Gallery, evaluation_id: int
) -> None:
    path = re.search(r'src="(/evaluation/\d+/gallery/\d+/case/1\.png\?[^"]*)"', page_text(client, evaluation_id))
    assert path
    address = path[1].replace("&amp;", "&")
    first = client.get(address)
    assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert client.get(address, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert client.get(address.split("?", maxsplit=1)[0]).headers["cache-control"] == "private, no-cache"
    save_evaluation(engine, evaluation, gallery=replace(pictures, images=255 - pictures.images))
    again = client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 200
    assert again.content != first.content
    assert again.headers["cache-control"] == "private, no-cache"
    assert address not in page_text(client, evaluation_id).replace("&amp;", "&")


def page_text(client: TestClient, evaluation_id: int, query: str = "") -> str:
    answer = client.get(f"/evaluation/{evaluation_id}/gallery{query}")
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/4.png", 404),
        ("/-1.png", 422),
        ("/x.png", 422),
        ("/0/nope/1.png", 404),
        ("/0/case%00/1.png", 404),
        ("/0/..%2Fcase/1.png", 404),
        ("/0/random/1.png", 404),
        ("/0/case/0.png", 422),
        ("/0/case/3.png", 422),
        ("/0/case/1.png?view=x", 422),
        ("?class=4", 404),
        ("?class=x", 422),
        ("?method=nope", 404),
        ("?page=2", 200),  # the last there is
        ("?page=0", 422),
        ("?sort=x", 422),
        ("?view=x", 422),
        ("?class=&method=&view=&sort=", 200),
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, evaluation_id: int, path: str, status: int) -> None:
    assert client.get(f"/evaluation/{evaluation_id}/gallery{path}").status_code == status


@pytest.mark.parametrize("path", ["", "/0.png", "/0/case/1.png"])
def test_without_an_evaluation_there_is_nothing(client: TestClient, path: str) -> None:
    assert client.get(f"/evaluation/999/gallery{path}").status_code == 404


def test_the_worst_agreement_comes_first(engine: Engine, evaluation_id: int) -> None:
    assert positions(shown(engine, evaluation_id)) == [3, 1, 2, 0]  # undefined, 0.9, 0.499, 0.2
    by_gradcam = shown(engine, evaluation_id, method="gradcam")
    assert positions(by_gradcam) == [0, 3, 2, 1]
    assert by_gradcam.sorted_by == "gradcam"


def test_other_orders(engine: Engine, evaluation_id: int, pictures: Gallery) -> None:
    assert positions(shown(engine, evaluation_id, sort=Sorting.POSITION)) == [0, 1, 2, 3]
    by_class = sorted(range(4), key=lambda i: (pictures.target[i], i))
    assert positions(shown(engine, evaluation_id, sort=Sorting.CLASS)) == by_class


def test_cards_have_what_was_stored(
    engine: Engine, evaluation_id: int, evaluation: Evaluation, pictures: Gallery
) -> None:
    for card in shown(engine, evaluation_id).cards:
        i = card.position
        assert card.sample_id == pictures.sample_ids[i]
        assert (card.target.idx, card.top2.idx) == (pictures.target[i], pictures.top2[i])
        assert (card.target.name, card.top2.name) == (HOSTILE[card.target.idx], HOSTILE[card.top2.idx])
        place = evaluation.scores.sample_ids.index(card.sample_id)
        assert card.confidence == evaluation.scores.confidence[place]
        assert {pair.method for pair in card.pairs} == set(METHODS)
        for pair in card.pairs:
            stored = evaluation.scores.values[pair.method, "agreement"][place]
            assert pair.agreement == (None if np.isnan(stored) else stored)


def test_half_of_the_top_pixels_is_too_much(engine: Engine, evaluation_id: int) -> None:
    cards = {card.position: card for card in shown(engine, evaluation_id).cards}
    bold = {(i, p.method): p.insensitive for i, card in cards.items() for p in card.pairs}
    assert (bold[1, "case"], bold[2, "case"], bold[3, "case"]) == (True, False, False)
    assert (bold[3, "gradcam"], bold[0, "gradcam"], bold[1, "gradcam"]) == (True, True, False)


def test_an_empty_map_is_said_to_be_empty(engine: Engine, client: TestClient, evaluation_id: int) -> None:
    [card] = [card for card in shown(engine, evaluation_id).cards if card.position == 3]
    [case] = [pair for pair in card.pairs if pair.method == "case"]
    assert case.first.path
    assert case.second.path is None
    text = page_text(client, evaluation_id, "?method=case")
    assert text.count("empty map") == 1
    assert "agreement undefined" in text
    assert "/gallery/3/case/2.png" not in text
    assert "/gallery/3/case/1.png" in text


def test_a_class_and_a_method_can_be_chosen(engine: Engine, client: TestClient, evaluation_id: int) -> None:
    page = shown(engine, evaluation_id, class_idx=1, method="layercam")
    assert {card.target.idx for card in page.cards} == {1}
    assert {pair.method for card in page.cards for pair in card.pairs} == {"layercam"}
    assert (page.stored, page.fitting) == (4, len(page.cards))
    assert f"{page.fitting} of 4 images" in page_text(client, evaluation_id, "?class=1&method=layercam")


def test_a_class_without_a_picture_says_so(engine: Engine, client: TestClient) -> None:
    made = an_evaluation(class_names=HOSTILE)
    evaluation_id = save_evaluation(engine, made, gallery=a_gallery(made, rows=1))
    other = (int(made.scores.target[0]) + 1) % 4
    assert "No image fits" in page_text(client, evaluation_id, f"?class={other}")


def test_long_galleries_come_in_pages(engine: Engine, client: TestClient) -> None:
    made = an_evaluation(num_samples=200)
    evaluation_id = save_evaluation(engine, made, gallery=a_gallery(made, rows=2 * PER_PAGE + 1))
    parts = [shown(engine, evaluation_id, sort=Sorting.CLASS, view=View.TOP, page=number) for number in (1, 2, 3)]
    assert [len(part.cards) for part in parts] == [PER_PAGE, PER_PAGE, 1]
    assert sorted(p for part in parts for p in positions(part)) == list(range(2 * PER_PAGE + 1))
    assert (parts[0].pages.previous, parts[2].pages.next) == (None, None)
    text = page_text(client, evaluation_id, parts[0].pages.next or "")
    assert "Page 2 of 3" in text
    assert '<option value="top" selected>' in text
    assert '<option value="class" selected>' in text


def test_names_are_escaped_everywhere(client: TestClient, evaluation_id: int) -> None:
    for query in ("", "?view=top", "?class=0&sort=position"):
        text = page_text(client, evaluation_id, query)
        assert "<script>alert" not in text
        assert "</script><!--" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "class 2" in page_text(client, evaluation_id)


def test_every_picture_says_in_words_what_it_is(client: TestClient, evaluation_id: int) -> None:
    text = page_text(client, evaluation_id, "?view=top")
    images = re.findall(r"<img [^>]*/gallery/[^>]*>", text)
    assert len(images) == 4 * (1 + 2 * len(METHODS)) - 1  # one map is empty
    for image in images:
        assert re.search(r' alt="[^"]{6,}" width="160" height="160" loading="lazy"', image)
    assert "the predicted class, its top 5% in colour" in text


def test_without_a_gallery_it_says_where_to_look(engine: Engine, client: TestClient, evaluation: Evaluation) -> None:
    text = page_text(client, save_evaluation(engine, evaluation))
    assert "No gallery is stored" in text
    assert "gallery.png" in text


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ((32, 32), (128, 128, True)),
        ((28, 28), (140, 140, True)),
        ((96, 48), (192, 96, True)),
        ((1, 1), (128, 128, True)),
        ((97, 97), (160, 160, False)),
        ((256, 171), (160, 107, False)),
        ((1, 256), (1, 160, False)),
    ],
)
def test_small_pictures_are_enlarged_by_whole_factors(stored: tuple[int, int], expected: tuple[int, int, bool]) -> None:
    size = shown_size(*stored)
    assert (size.width, size.height, size.crisp) == expected
