"""Charts of pages: axes and tables by the clocks of the council, gaps, capacity."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from council import estate as council_estate
from council_page import NOW_MS, page_client, page_text
from store_doubles import MemoryStore

from collectors.store.query import Row
from dashboards.chart import Chart
from dashboards.web.device_pages import port_link
from dashboards.web.page_ranges import RANGES, PageRange
from dashboards.web.range_charts import range_chart, row_series
from probes.wire.sample import Sample

LONDON = ZoneInfo("Europe/London")
HOUR_MS = 3_600_000


def at_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def shown_range(key: str) -> PageRange:
    return next(one for one in RANGES if one.key == key)


def drawn(
    key: str, now: str, zone: ZoneInfo = LONDON, missing: tuple[int, ...] = ()
) -> Chart:
    """A chart whose value is the number of the step."""
    shown, now_ms = shown_range(key), at_ms(now)
    from_ms, to_ms = shown.span(now_ms)
    rows = [
        Row(time_ms, {}, {"x": float(n)})
        for n, time_ms in enumerate(range(from_ms, to_ms, shown.step_ms))
        if n not in missing
    ]
    return range_chart(
        "c", "C", shown, now_ms, zone, (row_series("In", rows, "x"),), str
    )


def axis(chart: Chart) -> list[str]:
    svg = str(chart.svg())
    return re.findall(r'y="145" text-anchor="\w+">([^<]*)<', svg)


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        ("24h", ["18:00", "00:00", "06:00", "12:00"]),
        ("7d", ["Wed", "Thu", "Fri", "Sat", "Sun", "Mon", "Tue"]),
        ("30d", ["6 Jul", "13 Jul", "20 Jul"]),
    ],
)
def test_the_axis_has_whole_hours_midnights_and_mondays_of_the_council(
    key: str, labels: list[str]
) -> None:
    assert axis(drawn(key, "2026-07-28T14:07:00+00:00")) == labels


def test_the_axis_and_the_figures_follow_the_clocks_when_they_change() -> None:
    chart = drawn("24h", "2026-10-25T10:00:00+00:00")
    assert axis(chart) == ["12:00", "18:00", "00:00", "06:00"]
    hovers = re.findall(r">(Sun 25 Oct, 01:30[^:<]*):", str(chart.svg()))
    assert hovers == ["Sun 25 Oct, 01:30 BST", "Sun 25 Oct, 01:30 GMT"]
    rows = [label for label, _ in chart.table()]
    assert len(set(rows)) == len(rows)
    spring = drawn("7d", "2026-03-30T10:00:00+00:00")
    assert axis(spring) == ["Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Mon"]


def test_a_day_of_the_table_is_one_of_the_council() -> None:
    zone = ZoneInfo("Pacific/Auckland")
    chart = drawn("30d", "2026-11-15T11:00:00+00:00", zone)
    shown = shown_range("30d")
    for time_ms, _ in chart.series[0].points:
        start = datetime.fromtimestamp(shown.table_start(time_ms, zone) / 1000, zone)
        point = datetime.fromtimestamp(time_ms / 1000, zone)
        assert (start.hour, start.minute) == (0, 0)
        assert start.date() == point.date()
    # Three steps a day: each can be told from the others under the pointer.
    hovers = re.findall(r">((?:\w+) \d+ \w+, \d\d:\d\d[^:<]*):", str(chart.svg()))
    assert len(set(hovers)) == len(chart.series[0].points)


def test_the_figures_under_the_pointer_are_those_of_the_table() -> None:
    chart = drawn("7d", "2026-11-28T10:00:00+00:00")
    hovers = re.findall(r": In ([\d.]+)<", str(chart.svg()))
    steps = shown_range("7d").table_ms // shown_range("7d").step_ms
    highest = {cells[0] for _, cells in chart.table()}
    assert highest <= set(hovers)
    assert len(chart.table()) in (len(hovers) // steps, len(hovers) // steps + 1)


@pytest.mark.parametrize("key", ["24h", "7d", "30d"])
def test_one_step_without_data_is_a_gap(key: str) -> None:
    whole = str(drawn(key, "2026-11-28T10:00:00+00:00").svg())
    broken = str(drawn(key, "2026-11-28T10:00:00+00:00", missing=(40,)).svg())
    assert whole.count('class="c1"') == 1
    assert broken.count('class="c1"') == 2


@pytest.mark.parametrize("key", ["24h", "7d", "30d"])
@pytest.mark.parametrize("zone", ["Europe/London", "Asia/Kathmandu", "America/Havana"])
def test_the_labels_of_an_axis_do_not_cover_each_other(key: str, zone: str) -> None:
    for now in ("2026-11-28T10:00:00+00:00", "2026-03-29T23:59:00+00:00"):
        chart = drawn(key, now, ZoneInfo(zone))
        found = re.findall(
            r'x="([\d.]+)" y="145" text-anchor="(\w+)">([^<]*)<', str(chart.svg())
        )
        end = 0.0
        for x, anchor, label in found:
            # Letters on a telephone.
            length = len(label) * 9.6
            left = float(x) - length * {"start": 0, "middle": 0.5, "end": 1}[anchor]
            assert left > end
            end = left + length


def port_page(speed_bps: float, port: str = "Gi1/0/7", **config: str) -> str:
    tags = {"device": "th-sw1", "site": "town-hall", "port": port}
    fields = {"in_bps": 50e6, "out_bps": 1e6, "speed_bps": speed_bps}
    rows = [
        Sample("interface", tags, fields | {"state": 3, "up": 1}, NOW_MS - n * 60_000)
        for n in range(1, 30)
    ]
    optics = {"device": "th-sw1", "site": "town-hall", "class": "dbm", "port": port}
    power = Sample(
        "sensor",
        optics | {"sensor": f"{port} Rx Power"},
        {"value": -31.0, "severity": 2, "low": -28.0},
        NOW_MS - 60_000,
    )
    other = Sample(
        "sensor",
        optics | {"sensor": "Gi1/0/8 Rx Power", "port": "Gi1/0/8"},
        {"value": -3.0, "severity": 0},
        NOW_MS - 60_000,
    )
    with page_client(store=MemoryStore([*rows, power, other]), **config) as client:
        return client.get(port_link("th-sw1", port)).text


def test_a_port_shows_its_capacity_or_that_it_is_far_above() -> None:
    near = port_page(100e6)
    assert "Speed of the port (100 Mbit/s)" in page_text(near)
    assert 'class="limit"' in near
    far = port_page(10e9)
    assert 'class="limit"' not in far
    assert "Speed of the port, 10 Gbit/s, is far above the drawing" in page_text(far)
    line = next(one for one in council_estate().lines if one.device == "th-sw1")
    contracted = page_text(port_page(100e9, line.port))
    assert "Contracted speed" in contracted


def test_a_port_shows_its_own_optics_and_no_others() -> None:
    text = page_text(port_page(1e9))
    assert "Gi1/0/7 Rx Power" in text
    assert "Gi1/0/8 Rx Power" not in text


def test_every_page_says_in_which_zone_its_times_are() -> None:
    assert "Times are UK time (GMT)" in page_text(port_page(1e9))
    text = port_page(1e9, timezone="Asia/Kolkata")
    assert "Times are Asia/Kolkata time (IST)" in page_text(text)
    # Charts too: the last step is of now.
    now = datetime.fromtimestamp(NOW_MS / 1000, ZoneInfo("Asia/Kolkata"))
    assert f"{now:%a} {now.day} {now:%b}, {now:%H}:" in text
