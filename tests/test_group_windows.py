"""In which window a result counts, and in which rows it is shown."""

from group_rows import (
    END_MS,
    PERIOD_MS,
    T0_MS,
    WINDOW_MS,
    add_samples,
    results,
    window_of,
)

from collectors.experience.groups import ExperienceWindow, GroupsConfig


def test_a_path_counts_in_a_window_of_half_an_hour_that_the_next_row_shows_too() -> (
    None
):
    path = {"outcome": "ok", "gateway_rtt_ms": 70.0, "gateway_loss_ratio": 0.0}
    window = window_of(results(range(12), "path", path, T0_MS - 7), T0_MS)
    for begin_ms, counts in (
        (T0_MS, True),
        (END_MS, True),
        (END_MS + WINDOW_MS, False),
    ):
        at_ms = begin_ms + 7
        poor = {"outcome": "ok", "poor": 1}
        add_samples(window, results(range(12), "call_path", poor, at_ms), at_ms)
        rows = window.samples(begin_ms + WINDOW_MS)
        assert {s.fields["agents"] for s in rows} == {10}
        assert {"gateway_poor_ratio" in s.fields for s in rows} == {counts}
        window.forget(window.needed_from_ms(begin_ms + WINDOW_MS))


def test_a_path_of_the_window_before_is_the_cause_of_a_poor_call() -> None:
    path = {"outcome": "ok", "gateway_rtt_ms": 70.0, "gateway_loss_ratio": 0.0}
    poor = {"outcome": "ok", "poor": 1}
    for minutes, wifi in ((1, 1.0), (16, 0.0)):
        window = window_of(
            results(range(12), "path", path, T0_MS - minutes * 60_000), T0_MS
        )
        at_ms = T0_MS + 7
        add_samples(window, results(range(12), "call_path", poor, at_ms), at_ms)
        assert {s.fields["cause_wifi_ratio"] for s in window.samples(END_MS)} == {wifi}


def test_the_rows_of_a_window_are_copies_and_each_result_is_in_one_window() -> None:
    window = ExperienceWindow(GroupsConfig())
    for at in range(3):
        time_ms = T0_MS + at * PERIOD_MS + 1
        agents_then = range(10 * at, 10 * at + 10)
        rows = results(agents_then, "agent", {"outcome": "ok"}, time_ms)
        add_samples(window, rows, time_ms)
    ends = [T0_MS + i * PERIOD_MS for i in range(1, 8)]
    agents = [
        {s.fields["agents"] for s in window.samples(end) if s.tags["by"] == "all"}
        for end in ends
    ]
    assert agents == [set(), set(), {30}, {30}, {30}, set(), set()]
    assert {s.time_ms for s in window.samples(ends[2])} == {ends[1]}


def test_a_late_result_counts_once_in_the_window_in_which_it_arrives() -> None:
    config = GroupsConfig()
    arrives_ms = END_MS + config.settle_s * 1000
    early = results(range(12), "call_path", {"outcome": "ok", "poor": 1}, T0_MS)
    late = results(range(50, 70), "call_path", {"outcome": "ok", "poor": 0}, END_MS - 1)
    window = window_of(early, T0_MS)
    before = window.samples(END_MS)
    again = window_of(early, T0_MS)
    for one in (window, again):
        # Those of before come again with the late ones.
        add_samples(one, [*early, *late], arrives_ms)
    assert before == window.samples(END_MS) == again.samples(END_MS)
    window.forget(window.needed_from_ms(END_MS + WINDOW_MS - PERIOD_MS))
    [fields] = [
        s.fields for s in window.samples(END_MS + WINDOW_MS) if s.tags["by"] == "all"
    ]
    assert (fields["agents"], fields["calls"], fields["call_poor_ratio"]) == (20, 20, 0)


def test_no_window_that_began_before_what_was_read_is_shown() -> None:
    window = window_of(results(range(12), "path", {"outcome": "ok"}, T0_MS + 1), T0_MS)
    assert window.samples(END_MS)
    window = window_of(results(range(12), "path", {"outcome": "ok"}, T0_MS + 1), T0_MS)
    window.since_ms = T0_MS + 1
    assert not window.samples(END_MS)
