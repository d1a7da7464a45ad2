"""What was observed, counted from polls, beside an oracle that looks at each second."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pytest
from estate_polls import (
    HOUR_MS,
    MINUTE_MS,
    S_MS,
    SITES,
    down_ms,
    estate_polls,
    seen_ms,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.observed import ObservedPiece, Periods
from dashboards.observed.poll_history import Poll, cut_off, device_pieces, site_pieces
from dashboards.observed.time_spans import (
    Overlap,
    length,
    merged,
    within,
    without,
)


def _seconds(pieces: Sequence[ObservedPiece]) -> dict[int, bool]:
    return {
        at: piece.up
        for piece in pieces
        for at in range(piece.from_ms // S_MS, piece.to_ms // S_MS)
    }


# ---- spans --------------------------------------------------------------------------

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6)


@given(SPANS, SPANS)
def test_spans_are_the_moments_in_them(
    some: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    def moments(spans: Sequence[tuple[int, int]]) -> set[int]:
        return {at for begin, end in spans for at in range(begin, end)}

    a, b = merged(some), merged(others)
    assert moments(a) == moments(some)
    assert length(a) == len(moments(some))
    assert all(x[1] < y[0] for x, y in itertools.pairwise(a))
    assert moments(within(a, b)) == moments(a) & moments(b)
    inside = Overlap(b)
    assert [inside.length_ms(span) for span in a] == [
        length(within([span], b)) for span in a
    ]
    assert moments(without(a, b)) == moments(a) - moments(b)


# ---- one device ---------------------------------------------------------------------


@st.composite
def _histories(draw: st.DrawFn) -> tuple[list[Poll], Periods]:
    """Polls of one device: some missed, some late or out of turn, some repeated, with
    a period that changes."""
    periods = Periods(
        60_000,
        draw(
            st.lists(
                st.tuples(st.integers(0, 3000), st.sampled_from([20, 60, 300])).map(
                    lambda each: (each[0] * S_MS, each[1] * S_MS)
                ),
                max_size=2,
            )
        ),
    )
    polls, at = [], draw(st.integers(0, 100)) * S_MS
    while at < 3600 * S_MS:
        if draw(st.integers(0, 9)):
            poll = Poll(at, "a", draw(st.booleans()))
            polls += [poll] * draw(st.sampled_from([1, 1, 1, 2]))
        late = draw(st.sampled_from([-5, 0, 0, 0, 0, 3, 25])) * S_MS
        at += max(S_MS, periods.at(at) + late)
    return draw(st.permutations(polls)), periods


@given(_histories())
def test_a_device_is_seen_from_each_poll_to_the_next_that_is_not_missed(
    history: tuple[list[Poll], Periods],
) -> None:
    polls, periods = history
    times = sorted({poll.time_ms for poll in polls})
    up = {poll.time_ms: poll.up for poll in polls}
    expected: dict[int, bool] = {}
    for second in range(4000):
        before = [at for at in times if at <= second * S_MS]
        if not before:
            continue
        last = before[-1]
        after = [at for at in times if at > last]
        period_ms = periods.at(last)
        is_next = bool(after) and after[0] - last < 1.5 * period_ms
        if is_next or second * S_MS < last + period_ms:
            expected[second] = up[last]
    assert _seconds(device_pieces(polls, periods.at)) == expected


def test_a_device_asked_once_in_ten_minutes_is_a_tenth_observed() -> None:
    polls = [Poll(n * 10 * MINUTE_MS, "a", True) for n in range(60)]
    pieces = device_pieces(polls, Periods(MINUTE_MS).at)
    assert seen_ms(pieces) == HOUR_MS


def test_a_fault_of_one_poll_is_as_long_as_a_poll_stands_for() -> None:
    # Half of these five minutes was observed, and twenty seconds of it were a fault.
    polls = [Poll(n * 20 * S_MS, "a", n != 3) for n in range(7)]
    pieces = device_pieces(polls, Periods(20 * S_MS).at)
    assert down_ms(pieces) == 20 * S_MS
    assert seen_ms(pieces) == 140 * S_MS


# ---- a site -------------------------------------------------------------------------

Rounds = list[dict[str, bool]]
PHASES_S = {"a": 0, "b": 4, "c": 11}


def _polls(rounds: Rounds, phases_s: Mapping[str, int] = PHASES_S) -> list[Poll]:
    return [
        Poll(n * MINUTE_MS + phases_s[device] * S_MS, device, up)
        for n, polled in enumerate(rounds)
        for device, up in polled.items()
    ]


@st.composite
def _rounds(draw: st.DrawFn) -> Rounds:
    """Rounds of three devices of which some are added, removed or not asked."""
    rounds: Rounds = []
    there = set("abc")
    for _ in range(draw(st.integers(1, 14))):
        if not draw(st.integers(0, 4)):
            there ^= {draw(st.sampled_from("abc"))}
        asked = [switch for switch in sorted(there) if draw(st.integers(0, 5))]
        if draw(st.booleans()):
            rounds.append(dict.fromkeys(asked, draw(st.booleans())))
        else:
            rounds.append({switch: draw(st.booleans()) for switch in asked})
    return rounds


def _expected(rounds: Rounds) -> dict[int, bool]:
    """Second by second: is any device of the site answering in the round?"""
    at = {
        n: min((PHASES_S[d] for d in r), default=0) + 60 * n
        for n, r in enumerate(rounds)
    }
    seen: dict[str, dict[int, bool]] = {
        device: _seconds(
            device_pieces(
                [p for p in _polls(rounds) if p.device == device],
                Periods(MINUTE_MS).at,
            )
        )
        for device in "abc"
    }
    asked = [n for n, polled in enumerate(rounds) if polled]
    answers, up = {}, {}
    for n in asked:
        answers[n] = sorted(PHASES_S[d] + 60 * n for d, u in rounds[n].items() if u)
        # What was not asked in the round is as it was, for as long as that stands.
        stands = any(seen[each].get(at[n]) for each in "abc" if each not in rounds[n])
        up[n] = bool(answers[n]) or stands
    found: dict[int, bool] = {}
    for second in range(60 * (len(rounds) + 2)):
        if not any(second in seen[device] for device in "abc"):
            continue
        now = max(n for n in asked if at[n] <= second)
        place = asked.index(now)
        before = asked[place - 1] if place else None
        after = asked[place + 1] if place + 1 < len(asked) else None
        down = not up[now]
        if up[now] and answers[now]:
            if before is not None and not up[before] and second < answers[now][0]:
                down = True
            if after is not None and not up[after]:
                failed = [
                    PHASES_S[d] + 60 * now
                    for d, u in rounds[now].items()
                    if not u and PHASES_S[d] + 60 * now > answers[now][-1]
                ]
                down = down or (bool(failed) and second >= failed[0])
        found[second] = not down
    return found


@settings(max_examples=300)
@given(_rounds())
def test_a_site_is_reachable_in_each_round_in_which_any_device_answers(
    rounds: Rounds,
) -> None:
    polls = _polls(rounds)
    seconds = _seconds(site_pieces(polls, Periods(MINUTE_MS).at))
    assert seconds == _expected(rounds)
    assert _seconds(site_pieces([*reversed(polls), *polls], Periods(MINUTE_MS).at)) == (
        seconds
    )


@pytest.mark.parametrize("phases", [(0, 0, 0), (0, 20, 40), (3, 9, 17), (50, 55, 59)])
@pytest.mark.parametrize("each", [1, 2, 40])
def test_three_switches_that_answer_in_turn_are_a_site_that_was_always_there(
    phases: tuple[int, int, int], each: int
) -> None:
    rounds = [
        {device: n // each % 3 == m for m, device in enumerate("abc")}
        for n in range(120)
    ]
    polls = _polls(rounds, dict(zip("abc", phases, strict=True)))
    pieces = site_pieces(polls, Periods(MINUTE_MS).at)
    assert down_ms(pieces) == 0
    assert seen_ms(pieces) >= 2 * HOUR_MS


@given(
    st.integers(70, 4000),
    st.integers(0, 3000),
    st.permutations([0, 17, 31]),
)
def test_an_outage_lasts_from_its_first_silent_poll_to_the_next_answer(
    lasts_s: int, begins_s: int, phases: list[int]
) -> None:
    end_s = begins_s + lasts_s
    polls = [
        Poll(at * S_MS, device, not begins_s <= at < end_s)
        for n in range(130)
        for device, phase in zip("abc", phases, strict=True)
        for at in [n * 60 + phase]
    ]
    down = down_ms(site_pieces(polls, Periods(MINUTE_MS).at)) / S_MS
    failed = [p.time_ms // S_MS for p in polls if not p.up]
    after = [p.time_ms // S_MS for p in polls if p.up and p.time_ms // S_MS >= end_s]
    # Within a poll of the truth at each end; a short one may lie between two rounds.
    assert down in (0, min(after) - min(failed))
    if lasts_s >= 120:
        assert abs(down - lasts_s) <= 40


# ---- the monitor cut off ------------------------------------------------------------


@given(st.integers(0, 1500), st.integers(121, 2000), st.sampled_from([(), ("a1",)]))
def test_the_monitor_is_cut_off_from_the_first_silence_to_the_next_answer(
    begins_s: int, lasts_s: int, down: tuple[str, ...]
) -> None:
    polls = estate_polls([(begins_s, begins_s + lasts_s)], 70, down)
    spans = cut_off(polls, SITES, Periods(MINUTE_MS).at)
    assert len(spans) == 1
    ((begin, end),) = spans
    assert begins_s - 27 <= begin / S_MS <= begins_s + 27
    assert begins_s + lasts_s <= end / S_MS <= begins_s + lasts_s + 27


def test_all_devices_but_one_are_an_outage_and_not_the_monitors() -> None:
    polls = estate_polls([], 30, ("a1", "a2", "b1", "c1"))
    assert cut_off(polls, SITES, Periods(MINUTE_MS).at) == []


def test_an_estate_of_one_site_is_cut_off_only_if_the_rule_says_so() -> None:
    polls = estate_polls([(600, 1200)], 30)
    one = dict.fromkeys(SITES, "a")
    assert cut_off(polls, one, Periods(MINUTE_MS).at) == []
    spans = cut_off(polls, one, Periods(MINUTE_MS).at, [(700 * S_MS, 1190 * S_MS)])
    # The rule fired after a round; the first silent poll was before.
    assert spans == [(600 * S_MS, 1200 * S_MS)]
