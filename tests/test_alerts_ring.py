"""A ring keeps the newest values of one field, in order, up to a fixed number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rule_window import (
    START_MS,
)

from alerts.series import Ring

SPAN_MS = 600_000


@given(
    values=st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.5]), max_size=200),
    steps=st.integers(1, 3),
)
def test_a_ring_returns_what_a_plain_list_would(
    values: list[float], steps: int
) -> None:
    period_ms = 60_000 * steps
    ring: Ring | None = None
    plain: list[tuple[int, float]] = []
    for n, value in enumerate(values):
        at_ms = START_MS + n * period_ms
        if ring is None:
            ring = Ring(at_ms, value)
        else:
            ring.add(at_ms, value, SPAN_MS)
        plain.append((at_ms, value))
        wanted = [pair for pair in plain if pair[0] >= at_ms - SPAN_MS]
        assert list(zip(*ring.since(at_ms - SPAN_MS), strict=True)) == wanted


def test_a_ring_ignores_repeated_and_older_rows() -> None:
    ring = Ring(1_000, 1.0)
    for at_ms, value in ((1_000, 9.0), (500, 9.0), (2_000, 2.0), (2_000, 9.0)):
        ring.add(at_ms, value, SPAN_MS)
    assert ring.since(0) == ([1_000, 2_000], [1.0, 2.0])


def test_a_ring_is_bounded_however_often_rows_come() -> None:
    ring = Ring(0, 0.0)
    for n in range(1, 10_000):
        ring.add(n, float(n % 7), SPAN_MS)
    assert len(ring.since(0)[0]) <= 4_096
