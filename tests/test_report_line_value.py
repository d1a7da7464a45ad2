"""What the report advises about a line, its money and its dates."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.estate import Line
from collectors.store.query import Row
from dashboards.report.line_hours import LineHours
from dashboards.report.line_value import (
    LineValue,
    busiest_hour,
    is_full,
    line_values,
    supplier_sums,
)
from dashboards.report.report_figures import (
    LineFigures,
    line_figures,
    notice_day,
    reminder,
)

LONDON = ZoneInfo("Europe/London")
TODAY = date(2026, 11, 2)
HOUR_MS = 3_600_000
USED = {"observed_hours": 744, "down_max": 0.9, "up_max": 0.5}


def line_of(id: str = "th-wan", **changes: Any) -> Line:
    given: dict[str, Any] = {
        "site": id.partition("-")[0],
        "supplier": "Moor Telecom",
        "circuit_ref": "ETH1",
        "down_mbps": 100,
        "up_mbps": 100,
        "cost_per_year": 4_000,
        "contract_end": date(2027, 3, 31),
        "notice_days": 90,
        "device": "sw1",
        "port": "1",
    }
    return Line(id=id, **given | changes)


SMALL = line_of("lib-wan", down_mbps=30, up_mbps=30, cost_per_year=1_500)
LARGE = line_of("hub-wan", down_mbps=500, up_mbps=500, cost_per_year=6_000)


def value_of(
    figures: LineFigures, *others: Line, beside: tuple[LineFigures, ...] = ()
) -> LineValue:
    lines = (figures.line, *others)
    values = line_values([figures, *beside], lines, {"th": "Town Hall"}, TODAY, LONDON)
    return next(value for value in values if value.figures is figures)


def figures_of(line: Line | None = None, **changes: Any) -> LineFigures:
    return LineFigures(line or line_of(), **USED | changes)


@pytest.mark.parametrize(
    ("changes", "others", "advice", "change"),
    [
        ({}, (), "cannot tell", None),
        ({"down_p95": 0.3, "observed_hours": 5}, (), "cannot tell", None),
        ({"down_p95": 0.05, "up_p95": 0.05}, (SMALL, LARGE), "go down", -2_500),
        ({"down_p95": 0.05}, (SMALL, LARGE), "go down", None),
        ({"down_p95": 0.05}, (), "go down", None),
        ({"down_p95": 0.05, "busy_hours": 3}, (SMALL,), "keep", 0),
        ({"down_p95": 0.5}, (SMALL, LARGE), "keep", 0),
        ({"down_p95": 0.9, "busy_hours": 60}, (SMALL, LARGE), "go up", 2_000),
        ({"down_p95": 0.9, "busy_hours": 60}, (SMALL,), "go up", None),
        ({"down_p95": 0.0, "down_max": 0.0, "up_max": 0.0}, (), "cancel", -4_000),
    ],
)
def test_the_use_of_a_line_and_the_councils_own_prices_give_advice(
    changes: dict[str, Any], others: tuple[Line, ...], advice: str, change: float | None
) -> None:
    value = value_of(figures_of(**changes), *others)
    assert (value.advice, value.change_per_year) == (advice, change)


@pytest.mark.parametrize("size", [(100, 1_000), (1_000, 100)], ids=str)
def test_a_line_of_another_size_for_some_of_the_time_is_not_judged_by_its_new_one(
    size: tuple[float, float],
) -> None:
    then = dict(zip(("contract_down_bps", "contract_up_bps"), size, strict=True))
    values = {
        f"{name}_{end}": mbps * 1e6
        for name, mbps in then.items()
        for end in ("min", "max")
    }
    tags = {"line": "th-wan"}
    use = Row(None, tags, {"down_use_ratio_p95": 0.95, "down_use_ratio_max": 1.0})
    hours = {"th-wan": LineHours()}
    [figures] = line_figures([line_of()], [use], hours, [], [Row(None, tags, values)])
    value = value_of(figures, LARGE)
    assert (value.advice, value.headroom, value.used_down_mbps) == (
        "cannot tell",
        None,
        None,
    )
    assert "size was changed" in value.reason


def test_a_larger_line_is_large_enough_for_the_other_direction_too() -> None:
    lopsided = line_of("pool-wan", down_mbps=1_000, up_mbps=10, cost_per_year=900)
    full = figures_of(down_p95=0.9, up_p95=0.3, busy_hours=60)
    value = value_of(full, lopsided, LARGE)
    assert (value.advice, value.needed_per_year) == ("go up", 2_000)


def test_a_line_that_costs_nothing_is_no_price_for_others() -> None:
    free = line_of("hub-wan", cost_per_year=0)
    value = value_of(figures_of(down_p95=0.5, up_p95=0.5), free)
    assert (value.advice, value.change_per_year) == ("keep", 0)
    own = value_of(figures_of(line_of(cost_per_year=0), down_p95=0.5))
    [supplier] = supplier_sums([own])
    assert (supplier.cost_per_year, supplier.without_cost) == (0, 0)


def test_spellings_of_a_supplier_are_one_supplier() -> None:
    names = ("BT", "bt", "BT ", "BT", "Bt\u00a0", "Moor Telecom")
    values = [
        value_of(figures_of(line_of(f"s{n}-wan", supplier=name), down_p95=0.5))
        for n, name in enumerate(names)
    ]
    sums = [(one.supplier, one.lines) for one in supplier_sums(values)]
    assert sums == [("BT", 5), ("Moor Telecom", 1)]


@pytest.mark.parametrize(
    ("today", "text"),
    [
        (date(2028, 2, 28), "Give notice by 29 February 2028 (1 day left)."),
        (date(2028, 2, 29), "Give notice by 29 February 2028 (today)."),
        (
            date(2028, 3, 1),
            "The last day for notice was 29 February 2028; the contract ends on "
            "30 March 2028 (29 days left).",
        ),
        (
            date(2028, 3, 30),
            "The last day for notice was 29 February 2028; the contract ends on "
            "30 March 2028 (today).",
        ),
        (
            date(2028, 3, 31),
            "The contract ended on 30 March 2028. If it was renewed, its new end is "
            "not listed.",
        ),
        (date(2000, 1, 1), "Give notice by 29 February 2028."),
    ],
    ids=str,
)
def test_the_dates_of_a_contract_are_told_as_people_say_them(
    today: date, text: str
) -> None:
    told = reminder(line_of(contract_end=date(2028, 3, 30), notice_days=30), today)
    assert told is not None
    assert told.text == text


def test_a_line_as_large_for_less_money_is_a_reason_to_renegotiate() -> None:
    cheap = line_of("lib-wan", cost_per_year=2_000)
    value = value_of(figures_of(down_p95=0.5), cheap)
    assert value.advice == "renegotiate"
    assert value.saved_per_year == 2_000
    assert "£2,000 for 100 Mbit/s / 100 Mbit/s at lib" in value.reason


def test_a_contract_that_is_over_is_renegotiated_even_if_the_line_fits() -> None:
    line = line_of(contract_end=date(2026, 3, 31))
    value = value_of(figures_of(line, down_p95=0.5))
    assert (value.advice, value.decide_by) == ("renegotiate", None)
    assert "new end is not listed" in value.contract


def test_unknown_prices_and_contracts_are_said_and_not_guessed() -> None:
    line = line_of(cost_per_year=None, contract_end=None)
    value = value_of(figures_of(line, down_p95=0.9), LARGE)
    assert (value.advice, value.change_per_year) == ("go up", None)
    assert "its own cost is not listed" in value.reason
    assert value.contract == "No contract dates are listed."
    [supplier] = supplier_sums([value])
    assert (supplier.without_cost, supplier.without_contract) == (1, 1)


def test_lines_are_called_by_site_supplier_and_circuit() -> None:
    value = value_of(figures_of(down_p95=0.5))
    assert (value.site_name, value.name) == ("Town Hall", "Moor Telecom, circuit ETH1")


BACKUP = line_of("th-4g", role="backup", down_mbps=40, up_mbps=10)


@pytest.mark.parametrize(
    ("main_down", "carried", "advice", "text"),
    [
        ((), (), "test", "nothing shows that this one works"),
        ((), (3, 4), "keep", "carried traffic in 2 hours"),
        ((3,), (), "repair", "carried nothing"),
        ((3,), (7,), "repair", "carried nothing"),
        ((3, 4), (3,), "keep", "took over in 1 hour"),
    ],
)
def test_a_backup_is_judged_by_whether_it_carried_traffic_when_the_main_line_failed(
    main_down: tuple[int, ...], carried: tuple[int, ...], advice: str, text: str
) -> None:
    main = figures_of(down_p95=0.5, down_at=frozenset(main_down))
    backup = figures_of(BACKUP, down_p95=0.0, carrying_at=frozenset(carried))
    value = value_of(backup, beside=(main,))
    assert value.advice == advice
    assert text in value.reason


def test_the_busiest_hour_is_the_local_one() -> None:
    at = datetime(2026, 7, 14, 9, tzinfo=LONDON)
    nine = int(at.timestamp() * 1000)
    figures = figures_of(hourly=((nine, 0.8), (nine + HOUR_MS, 0.2)))
    assert busiest_hour(figures, LONDON) == (9, 0.8)
    assert busiest_hour(figures_of(), LONDON) is None


shares = st.none() | st.floats(0, 1.2)
any_line = st.builds(
    lambda n, down, up, cost, role, end: line_of(
        f"s{n}-wan", down_mbps=down, up_mbps=up, cost_per_year=cost, role=role,
        contract_end=end, supplier=f"Supplier {n % 3}",
    ),
    st.integers(0, 9),
    st.sampled_from([10, 30, 100, 1_000]),
    st.sampled_from([10, 30, 100]),
    st.none() | st.integers(0, 20_000),
    st.sampled_from(["primary", "primary", "backup"]),
    st.none() | st.dates(date(2024, 1, 1), date(2029, 1, 1)),
)  # fmt: skip
any_figures = st.builds(
    LineFigures,
    any_line,
    down_p95=shares,
    up_p95=shares,
    down_max=shares,
    up_max=shares,
    busy_hours=st.integers(0, 100),
    observed_hours=st.integers(0, 744),
    carrying_at=st.frozensets(st.integers(0, 5)),
    down_at=st.frozensets(st.integers(0, 5)),
)
estates = st.lists(any_figures, max_size=8, unique_by=lambda one: one.line.id)


@given(estates)
def test_advice_never_contradicts_its_money_nor_calls_a_full_line_good_value(
    figures: list[LineFigures],
) -> None:
    lines = [one.line for one in figures]
    values = line_values(figures, lines, {}, TODAY, LONDON)
    assert sorted(value.figures.line.id for value in values) == sorted(
        line.id for line in lines
    )
    for value in values:
        change, line = value.change_per_year, value.figures.line
        if value.advice in ("cancel", "go down", "renegotiate"):
            assert change is None or change <= 0
        if value.advice == "keep":
            assert change == 0
        if line.role == "primary" and value.figures.use_p95 is not None:
            assert (value.advice == "go up") is is_full(value.figures)
        if line.cost_per_year is None:
            assert not value.saved_per_year
        assert value.saved_per_year <= (line.cost_per_year or 0)
        assert value.decide_by is None or value.decide_by >= TODAY
        assert value.reason.endswith(".") or value.advice == "cancel"
    sums = supplier_sums(values)
    assert sum(one.lines for one in sums) == len(values)
    for name in ("saved_per_year", "needed_per_year"):
        total = sum(getattr(value, name) for value in values)
        assert sum(getattr(one, name) for one in sums) == pytest.approx(total)


@given(any_figures, st.integers(1, 50))
def test_a_fuller_line_is_never_told_to_go_down(
    figures: LineFigures, more: int
) -> None:
    figures = replace(figures, line=figures.line.model_copy(update={"role": "primary"}))
    fuller = replace(
        figures, down_p95=0.9, up_p95=0.9, busy_hours=figures.busy_hours + more
    )
    values = line_values([fuller], [fuller.line, SMALL, LARGE], {}, TODAY, LONDON)
    assert values[0].advice == "go up"


@given(st.dates(date(2000, 1, 1)), st.integers(0, 2_000))
def test_notice_and_its_days_end_at_the_end_of_the_contract(
    end: date, days: int
) -> None:
    notice = notice_day(line_of(contract_end=end, notice_days=days))
    assert notice is not None
    assert notice + timedelta(days=days) == end


@pytest.mark.parametrize(
    ("end", "days", "notice"),
    [
        (date(2028, 3, 1), 1, date(2028, 2, 29)),
        (date(2027, 3, 1), 1, date(2027, 2, 28)),
        (date(2028, 2, 29), 90, date(2027, 12, 1)),
        (date(2027, 3, 31), 31, date(2027, 2, 28)),
    ],
)
def test_notice_is_counted_over_leap_days_and_ends_of_months(
    end: date, days: int, notice: date
) -> None:
    assert notice_day(line_of(contract_end=end, notice_days=days)) == notice


def test_a_notice_longer_than_the_calendar_is_no_date() -> None:
    line = line_of(contract_end=date(2027, 1, 1), notice_days=10_000_000)
    assert notice_day(line) is None
    told = reminder(line, TODAY)
    assert told is not None
    assert "longer than the contract" in told.text
