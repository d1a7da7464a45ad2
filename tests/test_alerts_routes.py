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
from alerts.notify.routing import Router
from collectors.estate.estate_model import Estate
from collectors.estate.opening_hours import OpeningHours

ESTATE = Estate.model_validate(
    {
        "sites": [{"id": "library", "name": "Central Library"}],
    }
)
MONDAY_10 = int(datetime(2026, 5, 4, 9, 0, tzinfo=UTC).timestamp() * 1000)
SATURDAY = int(datetime(2026, 5, 2, 9, 0, tzinfo=UTC).timestamp() * 1000)


def routed(
    now_ms: int, *routes: Route, severity: Any = "critical", owner: Any = "network"
) -> dict[str, int]:
    alert = Alert("r", {}, severity, "firing", now_ms, site="library", owner=owner)
    router = Router(
        RoutingConfig(routes=routes), ("duty", "desk"), EstateIndex(ESTATE), now_ms
    )
    return {way.channel: way.next_ms - now_ms for way in router.destinations(alert)}


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


def _alert(site: str = "library") -> Alert:
    return Alert("r", {}, "critical", "firing", SATURDAY, site=site)


def _channels(route: Route, now_ms: int, on_call: Any = lambda rota: ()) -> list[str]:
    estate = Estate.model_validate(
        {"sites": [{"id": "library", "name": "L", "criticality": "high"}]}
    )
    known = ("duty", "desk", "ada")
    routing = RoutingConfig(routes=(route,))
    index = EstateIndex(estate)
    router = Router(routing, known, index, now_ms, on_call)
    return [destination.channel for destination in router.destinations(_alert())]


def test_a_route_may_be_for_sites_of_a_criticality() -> None:
    high = Route(channels=("duty",), criticality=("high",))
    assert _channels(high, SATURDAY) == ["duty"]
    assert _channels(Route(channels=("duty",), criticality=("low",)), SATURDAY) == []
    # A site that is not in the estate is a normal one.
    assert routed(SATURDAY, high) == {}


def test_a_route_may_be_for_those_who_act() -> None:
    power = Route(channels=("duty",), owners=("facilities", "security"))
    desk = Route(channels=("desk",))
    assert routed(SATURDAY, power, desk, owner="facilities") == {"duty": 0, "desk": 0}
    assert routed(SATURDAY, power, desk, owner="network") == {"desk": 0}
    with pytest.raises(ValidationError, match="'network', 'facilities'"):
        Route.model_validate({"channels": ["duty"], "owners": ["facility"]})


def test_a_route_may_be_for_hours_of_the_council() -> None:
    night = OpeningHours(opens="18:00", closes="08:00", days=(0, 1, 2, 3, 4, 5, 6))
    route = Route(channels=("duty",), during=night)
    assert _channels(route, MONDAY_10) == []
    assert _channels(route, MONDAY_10 + 9 * 3_600_000) == ["duty"]


def test_a_route_may_be_for_whoever_is_on_call() -> None:
    route = Route(channels=("desk",), rotas=("network",))
    assert _channels(route, SATURDAY, {"network": ("ada", "duty")}.get) == [
        *("desk", "ada", "duty")
    ]


def test_what_follows_is_the_soonest_of_all_routes() -> None:
    routes = (
        Route.model_validate(
            {
                **{"channels": ["duty"], "repeat": "30m", "rotas": ["network"]},
                "escalate": [
                    {"after": "15m", "channels": ["desk"]},
                    {"after": "1h", "rotas": ["chiefs"]},
                ],
            }
        ),
        Route.model_validate(
            {"channels": ["duty"], "escalate": [{"after": "5m", "channels": ["desk"]}]}
        ),
        Route(channels=("desk",), severities=("info",), repeat="1m"),
    )
    router = Router(
        RoutingConfig(routes=routes),
        ("duty", "desk", "ada", "chief"),
        EstateIndex(ESTATE),
        SATURDAY,
        {"network": ("ada",), "chiefs": ("chief",)}.__getitem__,
    )
    plan = router.follow_up(_alert())
    minute_ms = 60_000
    assert plan.steps == (
        (0, "ada"),
        (5 * minute_ms, "desk"),
        (60 * minute_ms, "chief"),
    )
    assert plan.repeat_ms == 30 * minute_ms


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"channels": ["a"], "repeat": "10s"}, "'10s' is too short, expected at least"),
        ({"channels": ["a"], "repeat": "often"}, "is not a length of time"),
        ({"channels": ["a"], "escalate": [{"after": "0s"}]}, "'0s' is too short"),
    ],
)
def test_a_wait_that_cannot_be_is_one_sentence(
    route: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Route.model_validate(route)


def test_a_rule_with_business_hours_pages_nobody_at_night() -> None:
    alert = Alert("r", {}, "warning", "firing", SATURDAY, site="library", hours="open")
    route = Route(channels=("duty",), severities=("warning",))
    closed = Route(channels=("desk",), severities=("warning",), hours="closed")
    routing = RoutingConfig(routes=(route, closed))
    index = EstateIndex(ESTATE)
    ways = Router(routing, ("duty", "desk"), index, SATURDAY).destinations(alert)
    assert [(way.channel, way.deferred) for way in ways] == [("duty", True)]
    ways = Router(routing, ("duty", "desk"), index, MONDAY_10).destinations(alert)
    assert [(way.channel, way.next_ms) for way in ways] == [("duty", MONDAY_10)]
