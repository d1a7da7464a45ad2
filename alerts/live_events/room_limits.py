"""From where on a room is damaged, by the rules of rooms: a room's state and its alerts
agree, also if a council changes a rule or switches it off."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from alerts.rule import Rule


class RoomLimits(NamedTuple):
    """More than this, and the stream stutters. Without a rule there is no limit."""

    in_error_ratio: float = math.inf
    in_errors_per_s: float = math.inf
    loss_ratio: float = math.inf


def room_limits(rules: Iterable[Rule]) -> RoomLimits:
    """The limits of `rules`. Pure."""
    return RoomLimits(
        **{
            condition.field: condition.threshold
            for rule in rules
            if rule.measurement == "room"
            for condition in rule.when
            if condition.field in RoomLimits._fields
        }
    )
