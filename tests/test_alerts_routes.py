"""Routes choose the channels of an alert and when they are notified."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.alert import Alert
from alerts.alert_config import AlertConfig
from alerts.estate_index import EstateIndex
from alerts.notify import (
    Route,
    RoutingConfig,
)
from alerts.notify.routing import destinations
from collectors.estate.estate_model import Estate

ESTATE = Estate.model_validate(
    {
        "sites": [{"id": "library", "name": "Central Library"}],
    }
)
MONDAY_10 = int(datetime(2026, 5, 4, 9, 0, tzinfo=UTC).timestamp() * 1000)
SATURDAY = int(datetime(2026, 5, 2, 9, 0, tzinfo=UTC).timestamp() * 1000)


def routed(now_ms: int, *routes: Route, severity: Any = "critical") -> dict[str, int]:
    alert = Alert("r", {}, severity, "firing", now_ms, site="library")
    notified = destinations(
        alert,
        RoutingConfig(routes=routes),
        ("duty", "desk"),
        EstateIndex(ESTATE),
        now_ms,
    )
    return {way.channel: way.next_ms - now_ms for way in notified}


def test_without_routes_every_channel_is_notified_above_severity_info() -> None:
    assert routed(SATURDAY) == {"duty": 0, "desk": 0}
    assert routed(SATURDAY, severity="info") == {}


def test_a_route_for_business_hours_waits_until_the_site_opens() -> None:
    desk = Route(channels=("desk",), hours="open")
    duty = Route(channels=("duty",), hours="closed", severities=("critical",))
    assert routed(MONDAY_10, desk, duty) == {"desk": 0}
    # Saturday 10:00 in London to Monday 08:00.
    assert routed(SATURDAY, desk, duty) == {"duty": 0, "desk": 46 * 3_600_000}
    assert routed(SATURDAY, duty, severity="warning") == {}


def test_a_route_may_be_for_some_sites_or_rules() -> None:
    assert routed(SATURDAY, Route(channels=("duty",), sites=("depot",))) == {}
    assert routed(SATURDAY, Route(channels=("duty",), rules=("r",))) == {"duty": 0}


def test_channels_are_made_from_settings_and_unknown_ones_are_named() -> None:
    config = AlertConfig.model_validate(
        {
            "standing": "alerts.sqlite",
            "channels": {
                "duty": {
                    "kind": "email",
                    "host": "mail",
                    "sender": "a@b.example",
                    "to": ["c@b.example"],
                },
                "desk": {"kind": "webhook", "url": "https://desk.example/x"},
            },
            "routes": [{"channels": ["duty", "dsek"]}],
        }
    )
    assert list(config.notifiers()) == ["duty", "desk"]
    assert list(config.unknown_channels()) == [("alerts.routes[1].channels", "dsek")]
    with pytest.raises(ValidationError, match=r"'emial'.*did you mean 'email'"):
        AlertConfig.model_validate(
            {"standing": "x", "channels": {"duty": {"kind": "emial"}}}
        )
