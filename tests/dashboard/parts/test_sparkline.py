"""Lines the size of a word."""

import re

from case_monitor.dashboard.parts.sparkline import HEIGHT, WIDTH, sparkline


def points(svg: str) -> list[list[tuple[float, float]]]:
    lines = re.findall(r'points="([^"]*)"', svg)
    return [[tuple(map(float, p.split(","))) for p in line.split()] for line in lines]


def test_shares_become_heights() -> None:
    [[low, middle, high]] = points(sparkline([0.0, 0.5, 1.0], None, "x"))
    assert (low, middle, high) == ((3.0, 25.0), (WIDTH / 2, HEIGHT / 2), (129.0, 3.0))


def test_an_undefined_value_is_a_gap() -> None:
    svg = sparkline([0.1, 0.2, None, 0.3, None, 0.4, 0.5], None, "x")
    assert [len(line) for line in points(svg)] == [2, 2]
    assert svg.count('class="alone"') == 1


def test_nothing_to_draw() -> None:
    assert "polyline" not in sparkline([], 0.5, "x")
    assert "polyline" not in sparkline([None], 0.5, "x")
    assert sparkline([0.2], None, "x").count("<circle") == 2


def test_beyond_the_range_is_drawn_at_the_edge() -> None:
    assert points(sparkline([-1.0, 2.0], None, "x")) == [[(3.0, 25.0), (129.0, 3.0)]]


def test_the_label_is_escaped() -> None:
    assert 'aria-label="&lt;b&gt; &#34;"' in sparkline([0.1], 0.5, '<b> "')
