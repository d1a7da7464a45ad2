"""Rows of agents for the tests of groups."""

from collections.abc import Iterable, Sequence

from collectors.batch import batch_samples
from collectors.experience.agent_results import AgentPlace, AgentResult
from collectors.experience.disclosure_control import (
    GroupName,
)
from collectors.experience.groups import (
    ExperienceWindow,
    GroupsConfig,
    window_samples,
)
from probes.wire.sample import Sample, Value

LEAST = 10


PERIOD_MS = 300_000
WINDOW_MS = 900_000

# The start of a window, and of the second half of a long one.
T0_MS = 1_700_000_100_000 // WINDOW_MS * WINDOW_MS
END_MS = T0_MS + WINDOW_MS


def place_of(
    place: str = "home",
    site: str = "unknown",
    home_site: str = "town-hall",
    provider: str = "bt",
    connection: str = "wifi",
    vpn: str = "unknown",
    team: str = "",
) -> AgentPlace:
    return AgentPlace(place, site, home_site, provider, connection, vpn, team)


def calls(
    agents: Iterable[int], at: AgentPlace, poor: float = 0.0
) -> list[AgentResult]:
    values = (poor, 4.0, 20.0, 0.01, 3.0)
    return [
        AgentResult(T0_MS, T0_MS, f"a{i}", at, "call_path", "reflector", values)
        for i in agents
    ]


def shown_groups(
    rows: Sequence[AgentResult], least: int = LEAST
) -> dict[GroupName, dict[str, Value]]:
    return {
        (s.tags["by"], s.tags["group"]): s.fields
        for s in window_samples(rows, 0, least)
    }


def agent_rows(
    agents: Iterable[int], kind: str, at: AgentPlace, *values: Value | None
) -> list[AgentResult]:
    return [AgentResult(T0_MS, T0_MS, f"a{i}", at, kind, "r", values) for i in agents]


def results(
    agents: Iterable[int], kind: str, fields: dict[str, Value], time_ms: int
) -> list[Sample]:
    tags = {
        "home_site": "depot",
        "place": "home",
        "provider": "bt",
        "connection": "wifi",
        "target": "r",
    }
    return [Sample(kind, {"agent": f"a{i}", **tags}, fields, time_ms) for i in agents]


def window_of(
    samples: Iterable[Sample], received_ms: int, config: GroupsConfig | None = None
) -> ExperienceWindow:
    window = ExperienceWindow(config or GroupsConfig())
    add_samples(window, samples, received_ms)
    return window


def add_samples(
    window: ExperienceWindow, samples: Iterable[Sample], received_ms: int
) -> None:
    for batch in batch_samples(samples, "agent/x", received_ms):
        window.add(batch)
