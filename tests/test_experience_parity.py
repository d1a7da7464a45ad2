"""Experience parity: home and office compared within laptops, month by month."""

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_doubles import MemoryStore

from benchmarks.parity_coverage import TRUTH, confounded_laptops, unpaired_interval
from collectors.batch import Batch
from collectors.estate import Estate, Site
from collectors.estate.opening_hours import OpeningHours, open_spans
from collectors.experience.good_quarter_hours import (
    PARTS,
    SeenQuarterHour,
    seen_quarter_hours,
)
from collectors.experience.paired_difference import PlaceCounts, paired_difference
from collectors.experience.parity_keeper import (
    SETTLE_MS,
    ParityKeeper,
    last_month,
    parity_of_month,
)
from collectors.experience.parity_month import (
    ParityTally,
    WorkingTime,
    working_quarter_hours,
)
from collectors.store.query import Row
from dashboards.report.month import Month
from dashboards.report.parity import parity_figures, parity_query, verdict_of
from dashboards.report_config import ParityMargins
from probes.wire.sample import Sample, Value

SYSTEMS, BANDWIDTH, TELEPHONY = PARTS
OCTOBER = Month(2026, 10)
HOURS = OpeningHours()


def test_the_truth_lies_in_paired_intervals_although_worse_laptops_are_at_home() -> (
    None
):
    paired = unpaired = 0
    for seed in range(50):
        laptops = confounded_laptops(seed, 40)
        found = paired_difference(laptops, seed, replicates=400)
        assert found is not None
        paired += found.low <= TRUTH <= found.high
        _, low, high = unpaired_interval(laptops, seed)
        unpaired += low <= TRUTH <= high
    assert paired >= 45
    assert unpaired <= 5


counts = st.builds(
    lambda h, hb, o, ob: PlaceCounts(max(0, h - hb), h, max(0, o - ob), o),
    *[st.integers(0, 400)] * 4,
)


@given(st.lists(counts, max_size=30))
def test_a_difference_lies_in_its_interval_and_ignores_laptops_of_one_place(
    laptops: list[PlaceCounts],
) -> None:
    found = paired_difference(laptops, 1, replicates=60)
    paired = [one for one in laptops if one.is_paired]
    assert (found is None) is (len(paired) < 2)
    if found is not None:
        assert -1 <= found.low <= found.high <= 1
        assert found.low <= found.home - found.office + 1e-9
        assert found.high >= found.home - found.office - 1e-9
        assert found == paired_difference(paired, 1, replicates=60)


def test_nothing_bad_seen_does_not_mean_that_nothing_is() -> None:
    perfect = [PlaceCounts(20, 20, 20, 20)] * 12
    found = paired_difference(perfect, 1)
    assert found is not None
    assert (found.low, found.high) == (-3 / 120, 3 / 120)


def result_row(**values: Value) -> Row:
    tags = {"agent": "a", "place": "home", "home_site": "library", "target": "t"}
    return Row(0, tags, values)


def is_good(part: int, result: int, **values: Value) -> bool | None:
    return PARTS[part].results[result].is_good(result_row(**values))


@pytest.mark.parametrize(
    ("values", "good"),
    [
        ({"ok_min": 1, "poor_max": 0}, True),
        ({"ok_min": 1, "poor_max": 1}, False),
        ({"ok_min": 0, "outcome_last": "timeout"}, False),
        ({"ok_min": 0, "outcome_last": "timeout", "poor_max": 0}, False),
        ({"ok_min": 0, "outcome_last": "captive_portal"}, None),
        ({"ok_min": 0, "outcome_last": "paused"}, None),
        ({"ok_min": 0, "outcome_last": "other"}, None),
        ({"ok_min": 1}, None),
    ],
)
def test_a_test_call_is_good_bad_or_not_measured(
    values: dict[str, Value], good: bool | None
) -> None:
    assert is_good(2, 0, **values) is good


def test_a_slow_request_and_a_slow_name_are_not_good() -> None:
    fast = {"ok_min": 1, "lookup_ms_max": 20.0, "first_byte_ms_max": 300.0}
    assert is_good(0, 0, **fast) is True
    assert is_good(0, 0, **fast | {"tls_ms_max": 1_700.0}) is False
    assert is_good(0, 0, ok_min=0, outcome_last="tls_failed") is False
    assert is_good(0, 1, ok_min=1, lookup_ms_max=1_500.0) is False


def test_a_speed_that_a_limit_held_back_is_not_known() -> None:
    slow = {"ok_min": 1, "down_bps_min": 9e6, "up_bps_min": 1e6}
    assert is_good(1, 0, **slow) is False
    assert is_good(1, 0, **slow, up_at_least_max=1) is None
    assert is_good(1, 0, **slow | {"up_bps_min": 3e6}) is True


def test_a_laptop_that_moved_within_a_quarter_of_an_hour_counts_for_neither_place() -> (
    None
):
    home = result_row(ok_min=1, poor_max=0)
    office = Row(0, {**home.tags, "place": "office"}, home.values)
    result = TELEPHONY.results[0]
    assert len(seen_quarter_hours([(result, [home])])) == 1
    assert seen_quarter_hours([(result, [home, office])]) == []


@pytest.mark.parametrize(
    ("month", "quarter_hours"),
    # 21 working days; summer time ends and begins on Sundays, so nothing changes.
    [(Month(2026, 2), 20 * 40), (OCTOBER, 22 * 40), (Month(2028, 2), 21 * 40)],
)
def test_working_quarter_hours_are_those_of_the_local_business_hours(
    month: Month, quarter_hours: int
) -> None:
    spans = open_spans(HOURS, month.from_ms, month.to_ms)
    assert len(working_quarter_hours(spans)) == quarter_hours


def test_a_night_shift_has_an_hour_more_when_summer_time_ends() -> None:
    night = OpeningHours(opens="22:00", closes="06:00", days=(5,))
    week = [Month(2026, 10).from_ms + day * 86_400_000 for day in (23, 25)]
    spans = open_spans(night, *week)
    assert len(working_quarter_hours(spans)) == 9 * 4


def of_laptops(
    count: int, home_poor: float, office_poor: float, site: str = "library"
) -> list[Sample]:
    """Calls of laptops that are at home and in the office by turns, in October."""
    draw = random.Random(count)
    samples = []
    for number in range(count):
        for day in (5, 6, 7, 8, 12, 13):
            place, poor = (
                ("home", home_poor) if (day + number) % 2 else ("office", office_poor)
            )
            tags = {
                "agent": f"{site}-{number}",
                "place": place,
                "home_site": site,
                "target": "reflector",
            }
            for quarter in range(8):
                at = datetime(2026, 10, day, 9, 0, tzinfo=UTC).timestamp() * 1000
                fields: dict[str, Value] = {
                    "outcome": "ok",
                    "ok": 1,
                    "poor": int(draw.random() < poor),
                }
                time_ms = int(at) + quarter * 900_000
                samples.append(Sample("call_path", tags, fields, time_ms))
    return samples


def october_rows(samples: list[Sample]) -> dict[tuple[str, str, str], Sample]:
    rows = asyncio.run(
        parity_of_month(MemoryStore(samples), HOURS, OCTOBER.from_ms, OCTOBER.to_ms, 10)
    )
    return {(row.tags["by"], row.tags["group"], row.tags["part"]): row for row in rows}


def test_a_month_of_enough_laptops_has_a_figure_and_what_was_not_measured_says_so() -> (
    None
):
    rows = october_rows(of_laptops(30, 0.3, 0.1))
    fields = rows["all", "all", "telephony"].fields
    assert fields["state"] == "measured"
    assert fields["laptops"] == 30
    assert fields["seen"] == 30 * 6 * 8
    assert fields["possible"] == 30 * 22 * 40
    assert (fields["days"], fields["working_days"]) == (6, 22)
    assert float(fields["difference_high_ratio"]) < -0.1
    assert rows["home_site", "library", "telephony"].fields["laptops"] == 30
    assert rows["all", "all", "systems"].fields["state"] == "not measured"
    assert "agent" not in {tag for row in rows.values() for tag in row.tags}


def test_fewer_than_ten_paired_laptops_have_no_figure() -> None:
    rows = october_rows(of_laptops(9, 0.3, 0.1))
    assert rows["all", "all", "telephony"].fields == {
        "state": "too few laptops",
        "days": 6,
        "working_days": 22,
    }
    assert ("home_site", "library", "telephony") not in rows


def test_a_home_site_that_would_reveal_a_small_one_is_not_shown() -> None:
    small, large = of_laptops(9, 0.3, 0.1, "depot"), of_laptops(30, 0.3, 0.1)
    rows = october_rows(small + large)
    assert rows["all", "all", "telephony"].fields["laptops"] == 40
    assert ("home_site", "depot", "telephony") not in rows
    assert ("home_site", "library", "telephony") not in rows


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.tuples(*[st.sampled_from([0, 3, 9, 10, 12, 30])] * 3),
        min_size=1,
    )
)
def test_no_count_of_a_month_is_of_a_few_laptops_nor_is_a_difference_of_two(
    sites: dict[str, tuple[int, int, int]],
) -> None:
    """`sites`: how many laptops are at both places, at home only, in offices only."""
    tally = ParityTally()
    for site, kinds in sites.items():
        for places, count in zip(("home office", "home", "office"), kinds, strict=True):
            tally.add(
                TELEPHONY,
                [
                    SeenQuarterHour(f"{site}{places}{n}", place, site, 0, n % 2 == 0)
                    for n in range(count)
                    for place in places.split()
                ],
                1,
            )
    rows = {
        row.tags["group"]: row.fields
        for row in tally.samples(0, WorkingTime(800, 20), 10)
        if row.tags["part"] == "telephony" and "laptops" in row.fields
    }
    every = {site: sum(kinds) for site, kinds in sites.items()}
    of_field = {
        "laptops": {site: kinds[0] for site, kinds in sites.items()},
        "seen": every,
        "home_only_laptops": {site: kinds[1] for site, kinds in sites.items()},
        "office_only_laptops": {site: kinds[2] for site, kinds in sites.items()},
    }
    for field, counts in of_field.items():
        shown = [site for site in counts if field in rows.get(site, {})]
        if field in rows.get("all", {}):
            rest = sum(counts.values()) - sum(counts[site] for site in shown)
            assert rest == 0 or rest >= 10
        assert all(counts[site] >= 10 for site in shown)


class Appended:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    async def append(self, *batches: Batch) -> None:
        self.batches += batches


def keeper(path: Path, now_ms: int, appended: Appended) -> ParityKeeper:
    estate = Estate(sites=(Site(id="library", name="Library"),))
    store = MemoryStore(of_laptops(12, 0.2, 0.2))
    return ParityKeeper(store, appended, lambda: estate, path, 10, lambda: now_ms)


def test_a_month_is_worked_out_once_and_only_when_it_has_settled(
    tmp_path: Path,
) -> None:
    appended, state = Appended(), tmp_path / "parity.json"
    begin, end = OCTOBER.from_ms, OCTOBER.to_ms
    month = asyncio.run(keeper(state, end + SETTLE_MS + 1, appended).look())
    assert month
    assert {t for batch in appended.batches for t in batch.times_ms} == {begin}
    count = len(appended.batches)
    assert not asyncio.run(keeper(state, end + SETTLE_MS + 9, appended).look())
    assert len(appended.batches) == count


def test_a_month_whose_laptops_rows_are_mostly_deleted_is_left_out(
    tmp_path: Path,
) -> None:
    late_ms = OCTOBER.to_ms + 20 * 86_400_000
    assert not asyncio.run(keeper(tmp_path / "s", late_ms, Appended()).look())


@given(st.integers(946_684_800_000, 4_102_444_800_000))
def test_the_last_month_is_over_and_the_next_is_not(now_ms: int) -> None:
    begin_ms, end_ms = last_month(now_ms, OCTOBER.zone)
    at = datetime.fromtimestamp(begin_ms / 1000, OCTOBER.zone)
    month = Month(at.year, at.month)
    assert (begin_ms, end_ms) == (month.from_ms, month.to_ms)
    assert end_ms <= now_ms < end_ms + 32 * 86_400_000


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.03, 0.03, "kept"),
        (-0.01, 0.02, "kept"),
        (-0.2, -0.04, "not kept"),
        (0.04, 0.2, "not kept"),
        (-0.04, -0.02, "cannot tell"),
        (-0.3, 0.3, "cannot tell"),
    ],
)
def test_the_promise_is_kept_not_kept_or_not_known(
    low: float, high: float, verdict: str
) -> None:
    assert verdict_of(low, high, 0.03, 60)[0] == verdict
    # In 59 laptops, what one in twenty has need not be among them.
    few, reason = verdict_of(low, high, 0.03, 59)
    assert (few, reason.partition(":")[0]) == ("cannot tell", "too few laptops")


def test_few_far_worse_laptops_make_the_interval_wider_on_their_side() -> None:
    alike = [PlaceCounts(90, 100, 90, 100)] * 57
    for home, office in ((20, 90), (90, 20)):
        worse = [PlaceCounts(home, 100, office, 100)] * 3
        found = paired_difference([*alike, *worse], 1, replicates=400)
        assert found is not None
        middle = found.home - found.office
        below, above = middle - found.low, found.high - middle
        assert (below > 1.5 * above) is (home < office)
        assert found.effective == pytest.approx(60)


def test_a_year_merges_months_without_narrowing_their_intervals() -> None:
    months = [(m.from_ms, m.to_ms) for m in (Month(2026, 9), OCTOBER)]
    samples = [
        Sample(
            "parity",
            {"by": "all", "group": "all", "part": "telephony"},
            {
                "state": "measured",
                "matched": matched,
                "laptops": 40,
                "home_good_ratio": 0.9,
                "office_good_ratio": 0.9 + shift,
                "difference_low_ratio": -shift - 0.02,
                "difference_high_ratio": -shift + 0.02,
                "seen": 100,
                "possible": 400,
                "days": 20,
                "working_days": 22,
            },
            month[0],
        )
        for month, matched, shift in zip(months, (100, 300), (0.0, 0.04), strict=True)
    ]
    rows = asyncio.run(MemoryStore(samples).query(parity_query(months)))
    calls = parity_figures(rows, ParityMargins())[2]
    assert calls.difference == pytest.approx(-0.03)
    assert (calls.low, calls.high) == pytest.approx((-0.05, -0.01))
    assert (calls.months, calls.days, calls.coverage) == (2, 40, 0.25)
    assert calls.verdict == "cannot tell"


def test_parts_without_rows_are_not_measured_and_cannot_be_told() -> None:
    figures = parity_figures([], ParityMargins())
    assert [one.part.name for one in figures] == ["systems", "bandwidth", "telephony"]
    assert {one.verdict for one in figures} == {"cannot tell"}
    assert {one.reason for one in figures} == {"not measured"}
