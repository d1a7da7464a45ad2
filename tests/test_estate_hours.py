"""Business hours: over midnight, whole days, several ranges a day, and the two days on
which summer time starts and ends; against an oracle that steps minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.alert import Alert
from alerts.estate_index import EstateIndex
from alerts.notify.routing import Route, Router, RoutingConfig
from collectors.estate import EstateError, load
from collectors.estate.estate_model import Estate
from collectors.estate.opening_hours import (
    OpeningHours,
    is_open,
    next_closing_ms,
    next_opening_ms,
)
from collectors.ingest.ingest_config import PolicyConfig
from probes.wire.policy import MeasuringHours

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
LONDON = ZoneInfo("Europe/London")
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


def at(text: str, fold: int = 0) -> int:
    """A clock time in London as milliseconds."""
    local = datetime.fromisoformat(text).replace(tzinfo=LONDON, fold=fold)
    return round(local.timestamp() * 1000)


def clock(at_ms: int | None) -> str:
    assert at_ms is not None
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(LONDON)
    return f"{local:%a %d %b %H:%M}"


def test_hours_over_midnight_belong_to_the_day_they_begin_on() -> None:
    night = OpeningHours(opens="22:00", closes="06:00", days=(4,))
    for text, expected in (
        ("2026-11-27T21:59", False),
        ("2026-11-27T22:00", True),
        ("2026-11-28T00:00", True),
        ("2026-11-28T05:59", True),
        ("2026-11-28T06:00", False),
        ("2026-11-28T23:00", False),
        ("2026-11-27T03:00", False),
    ):
        assert is_open(night, at(text)) is expected, text
    friday_noon = at("2026-11-27T12:00")
    assert clock(next_opening_ms(night, friday_noon)) == "Fri 27 Nov 22:00"
    assert clock(next_closing_ms(night, at("2026-11-28T01:00"))) == "Sat 28 Nov 06:00"


def test_a_day_may_end_at_24_00_or_last_all_of_it() -> None:
    evening = OpeningHours(opens="18:00", closes="24:00", days=(0,))
    assert is_open(evening, at("2026-11-30T23:59"))
    assert not is_open(evening, at("2026-12-01T00:00"))
    always = OpeningHours(opens="00:00", closes="24:00", days=EVERY_DAY)
    assert next_closing_ms(always, at("2026-11-30T12:00")) is None
    workdays = OpeningHours(opens="00:00", closes="24:00")
    assert clock(next_closing_ms(workdays, at("2026-11-25T12:00"))) == (
        "Sat 28 Nov 00:00"
    )


def test_a_site_without_days_never_opens() -> None:
    closed = OpeningHours(days=())
    assert next_opening_ms(closed, at("2026-11-28T12:00")) is None
    assert next_closing_ms(closed, at("2026-11-28T12:00")) == at("2026-11-28T12:00")


def test_a_day_may_have_several_ranges_and_another_day_others() -> None:
    library = OpeningHours.model_validate(
        {
            "ranges": [
                {"opens": "09:00", "closes": "12:00"},
                {"opens": "13:00", "closes": "17:00"},
                {"opens": "10:00", "closes": "14:00", "days": [5]},
            ]
        }
    )
    assert not is_open(library, at("2026-11-27T12:30"))
    assert clock(next_opening_ms(library, at("2026-11-27T12:30"))) == "Fri 27 Nov 13:00"
    assert clock(next_opening_ms(library, at("2026-11-27T17:00"))) == "Sat 28 Nov 10:00"
    assert clock(next_opening_ms(library, at("2026-11-28T14:00"))) == "Mon 30 Nov 09:00"


def test_an_hour_that_summer_time_skips_is_not_open_and_one_that_comes_twice_is() -> (
    None
):
    # The clock goes from 01:00 to 02:00 on 29 March 2026, from 02:00 to 01:00 on
    # 25 October.
    early = OpeningHours(opens="01:15", closes="01:45", days=(6,))
    assert clock(next_opening_ms(early, at("2026-03-28T12:00"))) == "Sun 05 Apr 01:15"
    night = OpeningHours(opens="01:30", closes="06:00", days=(6,))
    assert clock(next_opening_ms(night, at("2026-03-28T12:00"))) == "Sun 29 Mar 02:00"
    twice = next_opening_ms(early, at("2026-10-25T01:50"))
    assert twice == at("2026-10-25T01:15", fold=1)
    assert next_closing_ms(early, at("2026-10-25T01:20", fold=1)) == at(
        "2026-10-25T01:45", fold=1
    )


clocks = st.builds(
    "{:02}:{:02}".format, st.integers(0, 23), st.sampled_from((0, 15, 30, 59))
)
weekdays = st.lists(st.integers(0, 6), unique=True, max_size=4).map(tuple)
ranges = st.lists(
    st.fixed_dictionaries(
        {"opens": clocks, "closes": st.one_of(clocks, st.just("24:00"))},
        optional={"days": weekdays},
    ).filter(lambda times: times["opens"] != times["closes"]),
    min_size=1,
    max_size=3,
)


def looked_up(hours: OpeningHours, at_ms: int) -> bool:
    """The oracle: reads the local time and compares it with each range as text."""
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(
        ZoneInfo(hours.timezone)
    )
    now = f"{local:%H:%M}"
    today, yesterday = local.weekday(), (local - timedelta(days=1)).weekday()
    for span in hours.ranges:
        days = hours.days if span.days is None else span.days
        if span.opens < span.closes:
            if today in days and span.opens <= now < span.closes:
                return True
        elif (today in days and now >= span.opens) or (
            yesterday in days and now < span.closes
        ):
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(
    ranges=ranges,
    days=weekdays,
    zone=st.sampled_from(
        ("Europe/London", "Australia/Lord_Howe", "America/St_Johns", "UTC")
    ),
    change=st.sampled_from(
        ("2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04", "2026-11-01")
    ),
    minutes_before=st.integers(-600, 4 * 1440),
)
def test_the_next_opening_and_closing_are_those_of_a_walk_minute_by_minute(
    ranges: list[dict[str, object]],
    days: tuple[int, ...],
    zone: str,
    change: str,
    minutes_before: int,
) -> None:
    hours = OpeningHours.model_validate(
        {"ranges": ranges, "days": days, "timezone": zone}
    )
    start_ms = round(datetime.fromisoformat(f"{change}T00:00+00:00").timestamp() * 1000)
    start_ms -= minutes_before * MINUTE_MS
    assert is_open(hours, start_ms) is looked_up(hours, start_ms)
    for next_ms, wanted in ((next_opening_ms, True), (next_closing_ms, False)):
        walked = next(
            (
                at_ms
                for at_ms in range(start_ms, start_ms + 8 * 86_400_000, MINUTE_MS)
                if looked_up(hours, at_ms) is wanted
            ),
            None,
        )
        next_change_ms = next_ms(hours, start_ms)
        if walked is not None:
            assert next_change_ms == walked
        else:
            # Further away than was walked, if ever.
            assert next_change_ms is None or next_change_ms >= start_ms + 8 * 86_400_000


def test_the_agent_and_the_server_agree_on_hours() -> None:
    for opens, closes in (("22:00", "06:00"), ("08:00", "18:00"), ("00:00", "24:00")):
        hours = OpeningHours(opens=opens, closes=closes, days=(0, 4), timezone="UTC")
        agents = MeasuringHours(opens, closes, (0, 4))
        for at_ms in range(0, 7 * 86_400_000, 30 * MINUTE_MS):
            local = datetime.fromtimestamp(at_ms / 1000, UTC)
            minute = local.hour * 60 + local.minute
            assert agents.allow(local.weekday(), minute) is is_open(hours, at_ms)


def routed(hours: OpeningHours, now_ms: int, route: Route) -> list[int]:
    estate = Estate.model_validate(
        {"sites": [{"id": "a", "name": "A", "hours": hours}]}
    )
    alert = Alert("r", {}, "critical", "firing", now_ms, site="a")
    router = Router(RoutingConfig(routes=(route,)), ("d",), EstateIndex(estate), now_ms)
    return [way.next_ms for way in router.destinations(alert)]


def test_routes_of_opening_hours_know_the_night() -> None:
    night = OpeningHours(opens="22:00", closes="06:00", days=EVERY_DAY)
    desk = Route(channels=("d",), hours="open")
    duty = Route(channels=("d",), hours="closed")
    at_three, at_noon = at("2026-11-28T03:00"), at("2026-11-28T12:00")
    assert routed(night, at_three, desk) == [at_three]
    assert routed(night, at_noon, desk) == [at("2026-11-28T22:00")]
    assert routed(night, at_three, duty) == []
    assert routed(night, at_noon, duty) == [at_noon]
    # A site that never opens would never page anybody.
    assert routed(OpeningHours(days=()), at_noon, desk) == [at_noon]


def test_a_route_that_does_not_ask_for_hours_does_not_look_for_the_next_opening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(hours: OpeningHours, from_ms: int) -> int:
        raise AssertionError("asked")

    monkeypatch.setattr("alerts.notify.routing.next_opening_ms", never)
    for hours in ("always", "closed"):
        route = Route(channels=("d",), hours=hours)  # type: ignore[arg-type]
        assert routed(OpeningHours(), at("2026-11-28T12:00"), route)


@pytest.mark.parametrize(
    ("hours", "says"),
    [
        ('opens = "9:00"', "a time of day such as 08:30"),
        ('closes = "24:30"', "a time of day such as 08:30"),
        (
            'opens = "08:00"\ncloses = "08:00"',
            "for the whole day write 00:00 and 24:00",
        ),
        ("days = [7]", "at most 6"),
        ('timezone = "Europe/Lodnon"', "did you mean 'Europe/London'"),
        (
            'opens = "08:00"\nranges = [{opens = "09:00", closes = "12:00"}]',
            "either ranges, or opens and closes",
        ),
        ('ranges = [{opens = "09:00", closes = "09:00"}]', "opens and closes are both"),
        ('ranges = [{opens = "09:00"}]', "closes is missing"),
    ],
)
def test_hours_that_make_no_sense_are_refused_with_the_reason(
    tmp_path: Path, hours: str, says: str
) -> None:
    file = tmp_path / "estate.toml"
    file.write_text(f'[[sites]]\nid = "a"\nname = "A"\n[sites.hours]\n{hours}\n')
    with pytest.raises(EstateError) as error:
        load(file)
    [finding] = error.value.findings
    assert says in finding
    assert f"{file}:" in finding


def test_measuring_hours_of_no_length_are_refused() -> None:
    with pytest.raises(ValidationError, match="for the whole day write 00:00"):
        PolicyConfig(opens="09:00", closes="09:00")


def test_a_spreadsheet_may_set_the_days(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text(
        "id,name,hours.opens,hours.closes,hours.days\na,A,22:00,06:00,4;5\n"
    )
    [site] = load(tmp_path).sites
    assert site.hours.days == (4, 5)


def test_the_next_opening_is_looked_up_and_not_searched_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0

    def counted(hours: OpeningHours, at_ms: int) -> bool:
        nonlocal looks
        looks += 1
        return is_open(hours, at_ms)

    monkeypatch.setattr("collectors.estate.opening_hours.is_open", counted)
    next_opening_ms(OpeningHours(), at("2026-11-27T18:00"))
    # Two ends of a range on span of some days, not the 3,720 minutes of a weekend.
    assert looks < 60
