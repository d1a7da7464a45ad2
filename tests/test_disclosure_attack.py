"""What a reader of everything that is shown of groups can work out."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.disclosure_attack import (
    SHAPES,
    SLICES,
    attack,
    council_calls,
    delivered,
    only_large,
    published,
)
from benchmarks.known_sums import Bounds, KnownSums
from collectors.experience.agent_results import AgentPlace, AgentResult
from collectors.experience.disclosure_control import Cells, secret_cells
from collectors.experience.groups import window_samples
from collectors.experience.other_outcomes import Outcomes
from collectors.experience.value_disclosure import ShownGroups
from collectors.experience.window_groups import group_names

ALL, HOME, SITE = ("all", "all"), ("place", "home"), ("home_site", "a")


@pytest.mark.parametrize("shape", SHAPES)
def test_no_hidden_group_follows_from_all_that_is_shown_of_all_windows(
    shape: str,
) -> None:
    calls = delivered(SHAPES[shape](9004, 80, 2 * SLICES), 1)
    found = attack(calls, published(calls, 2))
    assert found.hidden
    assert found.shown
    assert found.derivable == 0


@pytest.mark.parametrize("seed", [24, 30, 47])
def test_what_is_hidden_does_not_depend_on_the_order_in_which_results_arrive(
    seed: int,
) -> None:
    made = council_calls(seed, 80, SLICES)
    calls, relay = (
        [
            AgentResult(
                call.slice,
                0,
                f"a{call.laptop}",
                call.place,
                kind,
                "r",
                value(call.poor),
            )
            for call in made
        ]
        for kind, value in (
            ("call_path", lambda poor: (float(poor), 4.0, 20.0, 0.0, 1.0)),
            ("teams_relay", lambda poor: (20.0, 1.0 - poor)),
        )
    )

    def shown(results: list[AgentResult]) -> object:
        return [(one.tags, [*one.fields]) for one in window_samples(results, 0, 10)]

    assert shown([*calls, *reversed(relay)]) == shown([*calls, *relay])


def test_the_attack_succeeds_if_only_small_groups_are_hidden() -> None:
    calls = council_calls(11, 80, SLICES)
    found = attack(calls, only_large(calls, 1))
    assert 0 < found.derivable <= found.hidden


@given(st.data())
@settings(max_examples=60)
def test_bounds_are_right_whatever_the_unknown_numbers_are(data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 4), min_size=2, max_size=6))
    sets = data.draw(
        st.lists(
            st.frozensets(st.integers(0, len(numbers) - 1), min_size=1), min_size=1,
            max_size=5,
        )
    )  # fmt: skip
    known = KnownSums({one: sum(numbers[i] for i in one) for one in sets})
    wanted = data.draw(st.frozensets(st.integers(0, len(numbers) - 1), min_size=1))
    least, most = known.bounds(wanted)
    assert least <= sum(numbers[i] for i in wanted)
    assert most is None or sum(numbers[i] for i in wanted) <= most
    for one in sets:
        total = sum(numbers[i] for i in one)
        assert known.bounds(one) == Bounds(total, total)


def test_bounds_use_that_nothing_is_less_than_none() -> None:
    known = KnownSums({frozenset({0, 1}): 3, frozenset({1, 2}): 0})
    assert known.bounds({0}) == Bounds(3, 3)
    assert known.bounds({0, 2}) == Bounds(3, 3)
    assert known.bounds({3}) == Bounds(0, None)


def test_a_share_is_hidden_if_that_others_have_none_reveals_a_small_group() -> None:
    # At home 32, of whom 13 are of site a; the office of site b has 9.
    people = [set(range(a, b)) for a, b in ((0, 13), (13, 32), (32, 41), (41, 60))]
    atoms = {
        ALL: [0, 1, 2, 3],
        HOME: [0, 1],
        SITE: [0, 3],
        ("home_site_place", "a/home"): [0],
        ("home_site", "b"): [1, 2],
        ("site", "b"): [2],
    }
    cells = Cells(people, atoms)
    names = {ALL, HOME, ("home_site_place", "a/home"), ("home_site", "b")}
    groups = ShownGroups(cells, names, secret_cells(cells, 10))
    poor = {ALL: 9.0, HOME: 2.0, ("home_site_place", "a/home"): 1.0}
    assert groups.safe([{**poor, ("home_site", "b"): 3.0}]) == names
    told = groups.safe(
        [{**poor, ("home_site_place", "a/home"): 2.0, ("home_site", "b"): 3.0}]
    )
    assert told < names
    assert ALL in told


LAPTOPS_AT = {
    (site, provider): AgentPlace("home", "unknown", site, provider, "wifi")
    for site in "ab"
    for provider in "pq"
}


def outcomes_of(poor: dict[AgentPlace, int], calls: int = 4) -> Outcomes:
    return Outcomes((group_names(place), poor[place], calls) for place in poor)


def test_a_group_is_uncertain_if_calls_of_others_could_have_been_poor_instead() -> None:
    one_poor = dict.fromkeys(LAPTOPS_AT.values(), 0) | {LAPTOPS_AT["a", "p"]: 1}
    small = ("home_site_place", "a/home")
    outcomes = outcomes_of(one_poor)
    assert outcomes.is_uncertain(small, {ALL})
    assert outcomes.is_uncertain(small, {ALL, ("provider", "p")})
    assert not outcomes.is_uncertain(small, {ALL, ("home_site", "a")})
    assert outcomes.hidden_for(small, [("home_site", "a"), ALL]) == {("home_site", "a")}
    assert outcomes.hidden_for(small, [ALL]) == frozenset()
    # No other outcome: every call was poor.
    all_poor = outcomes_of(dict.fromkeys(LAPTOPS_AT.values(), 4))
    assert not all_poor.is_uncertain(small, set())
    # But that holds for everybody.
    assert all_poor.hidden_for(small, [ALL]) == frozenset()
    assert all_poor.hidden_for(small, []) is None


def test_that_a_small_group_had_no_poor_call_does_not_follow_from_larger_ones() -> None:
    poor = dict.fromkeys(LAPTOPS_AT.values(), 2) | {LAPTOPS_AT["a", "p"]: 0}
    small = ("team", "t")
    team = {
        msgspec.structs.replace(place, team="t" if not count else ""): count
        for place, count in poor.items()
    }
    sites = [("home_site", "a"), ("home_site", "b")]
    providers = [("provider", "p"), ("provider", "q")]
    outcomes = outcomes_of(team)
    assert outcomes.hidden_for(small, [*sites, ALL]) == frozenset()
    assert outcomes.hidden_for(small, [*sites, *providers, ALL]) == frozenset()
    # Only p had none: so a/p had none, of too few laptops.
    assert outcomes.hidden_for(small, [("provider", "q"), *sites, ALL]) == frozenset()
    alone = outcomes_of({place: 2 if place.team == "" else 0 for place in team})
    assert alone.hidden_for(small, [("home_site_place", "a/home"), *sites]) is not None


def test_two_poor_calls_can_be_two_others_though_each_alone_cannot() -> None:
    counts = {
        place: int(at in (("a", "p"), ("b", "q"))) for at, place in LAPTOPS_AT.items()
    }
    shown = {ALL, *(("home_site", site) for site in "ab"), ("provider", "p")}
    # a/p and b/q, or a/q and b/p.
    team = {
        msgspec.structs.replace(place, team="t" if at == ("a", "p") else ""): counts[
            place
        ]
        for at, place in LAPTOPS_AT.items()
    }
    assert outcomes_of(team).is_uncertain(("team", "t"), shown)
    assert not outcomes_of(team).is_uncertain(("team", "t"), shown | {("team", "t")})


@given(st.data())
@settings(max_examples=60)
def test_a_group_that_is_called_uncertain_has_more_than_one_possible_count(
    data: st.DataObject,
) -> None:
    places = st.builds(
        AgentPlace,
        st.sampled_from(["home", "office"]),
        st.just("s"),
        st.sampled_from("ab"),
        st.sampled_from("pq"),
        st.sampled_from(["wifi", "wired"]),
    )
    counts = data.draw(st.dictionaries(places, st.integers(0, 2), min_size=2))
    groups = sorted({group for place in counts for group in group_names(place)})
    shown = data.draw(st.frozensets(st.sampled_from(groups)))
    wanted = data.draw(st.sampled_from(groups))
    outcomes = outcomes_of(counts, 2)
    if outcomes.is_uncertain(wanted, shown):
        order = list(counts)
        members = {
            group: frozenset(
                at for at, place in enumerate(order) if group in group_names(place)
            )
            for group in groups
        }
        known = KnownSums(
            {
                members[group]: sum(counts[order[at]] for at in members[group])
                for group in shown
            }
        )
        assert not known.bounds(members[wanted]).is_exact
