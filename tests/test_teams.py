"""Teams: laptops that are judged together, none of them named, too few not counted."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from group_rows import (
    END_MS,
    PERIOD_MS,
    T0_MS,
    WINDOW_MS,
    add_samples,
    calls,
    place_of,
    results,
    shown_groups,
    window_of,
)
from ingest_council import (
    enrol,
    make_older,
    opened_registry,
    registry_config,
    wall_ms,
)

from collectors.batch import batch_samples, check_batch
from collectors.estate.estate_model import SMALL_TEAMS, Team
from collectors.experience.team_members import TeamMembers
from collectors.ingest.enrolled_counts import team_samples
from collectors.ingest.registry_records import EnrolledAgent
from collectors.server_measurements import CATALOGUE
from probes.wire.report import Enrolment

TEAM = ("team", "contact-centre")
HOUR_MS = 3_600_000
NOW_MS = 1_790_000_000_000


def test_a_team_is_a_group_wherever_its_laptops_are_and_nobody_else() -> None:
    rows = [
        *calls(range(12), place_of(team="contact-centre"), poor=1.0),
        *calls(range(12, 24), place_of("office", "s1", team="contact-centre")),
        *calls(range(24, 50), place_of()),
    ]
    shown = shown_groups(rows)
    assert shown[TEAM]["calls"] == 24
    assert shown[TEAM]["call_poor_ratio"] == pytest.approx(0.5)
    assert ("team", "") not in shown


@pytest.mark.parametrize(("members", "others"), [(9, 40), (40, 9)])
def test_neither_a_small_team_nor_a_small_rest_is_shown(
    members: int, others: int
) -> None:
    rows = [
        *calls(range(members), place_of(team="contact-centre")),
        *calls(range(100, 100 + others), place_of()),
    ]
    assert TEAM not in shown_groups(rows)


def test_what_four_of_five_of_a_team_have_in_common_is_named_if_it_is_shown() -> None:
    rows = [
        *calls(range(20), place_of("office", "s1", team="contact-centre")),
        *calls(range(20, 24), place_of(provider="sky", team="contact-centre")),
        *calls(range(30, 50), place_of("office", "s1")),
        *calls(range(50, 80), place_of(provider="sky")),
    ]
    team = shown_groups(rows)[TEAM]
    assert (team["mostly_site"], team["mostly_provider"]) == ("s1", "bt")
    assert "mostly_vpn" not in team
    assert "mostly_site" not in shown_groups(rows)["all", "all"]
    spread = [
        *calls(range(15), place_of("office", "s1", team="contact-centre")),
        *calls(range(15, 30), place_of("office", "s2", team="contact-centre")),
        *calls(range(30, 90), place_of()),
    ]
    assert "mostly_site" not in shown_groups(spread)[TEAM]


def test_the_reader_puts_results_into_the_team_that_the_registry_has() -> None:
    fields = {"poor": 0, "mos_estimated": 4.0, "rtt_ms": 20.0}
    samples = results(range(12), "call_path", fields, T0_MS + 1)
    samples += results(range(12, 30), "call_path", fields, T0_MS + 1)
    teams = {f"a{n}": "contact-centre" for n in range(12)}
    window = window_of(samples, T0_MS + 2)
    groups = {(s.tags["by"], s.tags["group"]) for s in window.samples(END_MS, teams)}
    assert TEAM in groups
    assert TEAM not in {
        (s.tags["by"], s.tags["group"])
        for s in window_of(samples, T0_MS + 2).samples(END_MS)
    }


def windows_of(changes: list[dict[str, int]]) -> list[dict[str, int]]:
    """The teams that are shown in each window, with their rounded laptops. `changes`:
    the size of each team in each window; 40 more laptops are in none."""
    fields = {"poor": 0, "mos_estimated": 4.0, "rtt_ms": 20.0}
    window = window_of([], T0_MS)
    found = []
    for n, sizes in enumerate(changes):
        begin_ms, end_ms = (T0_MS + at * WINDOW_MS for at in (n, n + 1))
        measured = results(range(100), "call_path", fields, begin_ms + 1)
        add_samples(window, measured, begin_ms + 2)
        names = [name for name, size in sizes.items() for _ in range(size)]
        teams = {f"a{number}": name for number, name in enumerate(names)}
        found.append(
            {
                str(sample.tags["group"]): int(sample.fields["agents"])
                for sample in window.samples(end_ms, teams)
                if sample.tags["by"] == "team"
            }
        )
    return found


def test_teams_of_too_few_are_one_group_if_they_are_enough_together() -> None:
    shown = windows_of([{"big": 20, "a": 6, "b": 7}] * 2)[-1]
    assert shown.keys() == {"big", SMALL_TEAMS}
    assert windows_of([{"big": 20, "a": 4, "b": 5}] * 2)[-1].keys() == {"big"}
    assert windows_of([{"big": 20, "a": 9}] * 2)[-1].keys() == {"big"}
    assert windows_of([{"big": 20}])[0].keys() == {"big"}


def test_no_window_tells_who_was_in_a_team_before_it_grew_or_shrank() -> None:
    few, enough = {"a": 9, "b": 11, "c": 8}, {"a": 10, "b": 11, "c": 8}
    for before, after in ((few, enough), (enough, few)):
        shown = windows_of([before, after])
        assert [window.keys() for window in shown] == [
            {"a", "b"} if sizes is enough else {"b", SMALL_TEAMS}
            for sizes in (before, after)
        ]
    # The windows have no result in common, and a window's rows stay as they were.
    fields = {"poor": 0, "mos_estimated": 4.0, "rtt_ms": 20.0}
    window = window_of(results(range(100), "call_path", fields, T0_MS), T0_MS)
    first, second = (
        [sample.fields for sample in window.samples(end_ms, teams)]
        for end_ms, teams in (
            (END_MS, {f"a{n}": "a" for n in range(20)}),
            (END_MS + PERIOD_MS, {f"a{n}": "a" for n in range(30)}),
        )
    )
    assert first == second


def test_laptops_join_a_team_with_their_token_and_can_move(tmp_path: Path) -> None:
    members = TeamMembers(registry_config(tmp_path).path)
    assert members.teams() == {}
    with opened_registry(tmp_path) as registry:
        now_ms = wall_ms()
        token = registry.admin.make_token("town-hall", 2, 1, now_ms, "contact-centre")
        first, second = (
            registry.identities.enrol(Enrolment(token, device), now_ms)
            for device in "ab"
        )
        other = enrol(registry, "c")
        assert members.teams() == {
            first.agent: "contact-centre",
            second.agent: "contact-centre",
        }
        assert registry.admin.set_team(second.agent, "", now_ms, "test")
        assert registry.admin.set_team(other.agent, "contact-centre", now_ms, "test")
        assert not registry.admin.set_team("nobody", "contact-centre", now_ms, "test")
        assert members.teams().keys() == {first.agent, other.agent}
        registry.admin.forget(first.agent, now_ms, "test")
        registry.admin.revoke(other.agent, now_ms, "test")
        assert members.teams() == {}
        assert [token.team for token in registry.admin.tokens()] == [
            "",
            "contact-centre",
        ]


def test_a_registry_of_before_teams_is_kept_whoever_opens_it_first(
    tmp_path: Path,
) -> None:
    with opened_registry(tmp_path) as registry:
        laptop = enrol(registry, "a")
    path = registry_config(tmp_path).path
    make_older(path, 1)
    assert TeamMembers(path).teams() == {}
    errors: list[BaseException] = []

    def open_it() -> None:
        try:
            with opened_registry(tmp_path) as again:
                assert [agent.agent for agent in again.agents()] == [laptop.agent]
                assert again.verify(laptop.agent, laptop.secret)
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def agents(count: int, team: str, seen_ms: int) -> list[EnrolledAgent]:
    return [
        EnrolledAgent(f"{team}{n}", "depot", 0, seen_ms, 0, team) for n in range(count)
    ]


def test_a_team_says_that_it_has_too_few_laptops_and_counts_none_of_them() -> None:
    hour_ms = NOW_MS - NOW_MS % HOUR_MS
    known = [
        *agents(12, "big", hour_ms - 30 * HOUR_MS),
        *agents(1, "big", hour_ms),
        *agents(9, "small", hour_ms),
        *agents(40, "", hour_ms),
    ]
    teams = [
        Team(id="big", name="Big", site="depot"),
        Team(id="small"),
        Team(id="none"),
    ]
    samples = team_samples(known, teams, 10, NOW_MS)
    for batch in batch_samples(samples, "self", NOW_MS):
        check_batch(batch, CATALOGUE)
    big, small, none = (sample.fields for sample in samples)
    assert (big["enough"], big["expected"], big["heard"]) == (1, 15, 5)
    assert big["state_text"] == "measured"
    for few in (small, none):
        assert few["enough"] == 0
        assert few["state_text"] == "fewer than 10 laptops"
        assert not few.keys() & {"expected", "heard"}
