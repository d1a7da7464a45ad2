"""What may be used of a day's data: regular rounds first, extra ones from what is left.

A day is one of UTC, as the month is. Pure.
"""

from __future__ import annotations

from probes.wire.data_costs import (
    DAY_S,
    DELIVERY_BYTES,
    PLACE_BYTES,
    POLICY_BYTES,
    Cost,
    regular_bytes,
    sending_bytes,
)
from probes.wire.policy import Policy

DAY_MS = DAY_S * 1000
# For a delivery, a policy and a beacon that come a little early.
_MARGIN_BYTES = DELIVERY_BYTES + POLICY_BYTES + PLACE_BYTES
# How far a plan that is too large for its day may be ahead of it: the first rounds
# after a start.
_AHEAD_BYTES = 500_000


def day_budget_bytes(policy: Policy, metered: bool) -> int:
    """What the agent may use in a day on this kind of connection; 0: no limit."""
    if metered:
        return policy.metered_budget_bytes_per_day
    return policy.budget_bytes_per_day


def room_bytes(
    budget_bytes: int, spent_bytes: int, now_ms: int, lines: list[Cost], regular: bool
) -> int:
    """What one round may cost now, by what was spent since the day began and what the
    rest of it needs; `lines` are the plan of a whole day.

    The rest of the day's deliveries are kept for any round, and its regular rounds as
    well for an extra one. A plan that is too large for the day is thinned out evenly,
    extra rounds and deliveries too, so that morning and evening are measured.
    """
    passed_ratio = now_ms % DAY_MS / DAY_MS
    left_ratio = 1 - passed_ratio
    left_bytes = budget_bytes - spent_bytes - _MARGIN_BYTES
    if regular_bytes(lines) > budget_bytes:
        # Its deliveries alone may be more than the day has: they are not kept.
        paced_bytes = int(budget_bytes * passed_ratio) + _AHEAD_BYTES
        return min(left_bytes, paced_bytes - spent_bytes)
    kept_bytes = sending_bytes(lines) if regular else regular_bytes(lines)
    return left_bytes - int(kept_bytes * left_ratio)
