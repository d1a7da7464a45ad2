"""A room is damaged from where its rules say so."""

from __future__ import annotations

import math

from alerts.live_events.room_limits import RoomLimits, room_limits
from alerts.rule_files import load_rules
from collectors.server_measurements import CATALOGUE

RULES = load_rules(CATALOGUE)


def test_a_room_has_the_limits_of_the_shipped_rules() -> None:
    assert room_limits(RULES) == RoomLimits(0.001, 0.1, 0.1)


def test_a_council_changes_or_switches_off_a_limit_with_its_rule() -> None:
    others = [rule for rule in RULES if rule.id != "room_loss_at_event"]
    [loss] = [rule for rule in RULES if rule.id == "room_loss_at_event"]
    when = [
        condition.model_copy(update={"threshold": 0.02})
        if condition.field == "loss_ratio"
        else condition
        for condition in loss.when
    ]
    strict = loss.model_copy(update={"when": tuple(when)})
    assert room_limits([*others, strict]) == RoomLimits(0.001, 0.1, 0.02)
    assert room_limits(others).loss_ratio == math.inf
