"""Charts and percentages of pages and reports."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from dashboards import chart, figure_text


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 3))
def test_a_ratio_below_one_is_never_written_as_100_percent(
    ratio: float, digits: int
) -> None:
    assert _number(figure_text.percent(ratio, digits)) < 100


@given(st.floats(0, 1, exclude_min=True, allow_subnormal=False), st.integers(0, 3))
def test_more_than_nothing_is_never_written_as_0_percent(
    ratio: float, digits: int
) -> None:
    text = figure_text.percent(ratio, digits)
    assert _number(text) > 0
    assert text.startswith("under") == (f"{ratio:.{digits}%}".strip("0.%") == "")


def _number(text: str) -> float:
    return float(text.removeprefix("under ").rstrip("%"))


def test_a_port_of_little_use_is_not_unused() -> None:
    assert figure_text.percent(0.004) == "under 1%"
    assert figure_text.percent(0.00004, 2) == "under 0.01%"
    assert figure_text.percent(0.006) == "1%"
    assert figure_text.percent(0.0) == "0%"


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.floats(0, 1e12)),
        max_size=30,
        unique_by=lambda p: p[0],
    )
)
def test_a_chart_is_well_formed_and_stays_inside_itself(
    points: list[tuple[int, float]],
) -> None:
    drawn = chart.Chart(
        "x",
        "A <title>",
        (chart.ChartSeries("a & b", sorted(points)),),
        0,
        10**7,
        10**5,
        figure_text.rate,
        figure_text.hour,
    )
    svg = str(drawn.svg())
    assert "A &lt;title&gt;" in svg
    assert "nan" not in svg
    assert "inf" not in svg
    for path in re.findall(r' d="([^"]*)"', svg):
        for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path):
            assert 0 <= float(x) <= drawn.width
            assert 0 <= float(y) <= drawn.height


def test_a_gap_in_the_measurements_is_a_gap_in_the_chart() -> None:
    points = [(0, 1.0), (10, 1.0), (20, 1.0), (100, 1.0), (110, 1.0)]
    drawn = chart.Chart(
        "x",
        "T",
        (chart.ChartSeries("a", points),),
        0,
        120,
        10,
        figure_text.rate,
        figure_text.hour,
    )
    assert str(drawn.svg()).count('class="c1"') == 2


def test_a_line_of_many_points_keeps_what_can_be_seen() -> None:
    # 100 points for each column of the drawing, with one peak and one dip.
    values = dict.fromkeys(range(40_000), 1.0) | {1_234: 9.0, 20_001: 0.25}
    drawn = chart.Chart(
        "x",
        "T",
        (chart.ChartSeries("a", list(values.items())),),
        0,
        40_000,
        1,
        figure_text.rate,
        figure_text.hour,
    )
    [path] = re.findall(r'<path class="c1" d="([^"]*)"', str(drawn.svg()))
    heights = {float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)}
    assert len(heights) == 3
    assert path.count("L") < 2_000
    assert drawn.table()[0][1] == ["9 bit/s"]
