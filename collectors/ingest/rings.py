"""Rings: parts of the fleet that a new policy reaches one after the other. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.registry_records import EnrolledAgent
from collectors.strict_model import StrictModel
from probes.wire.catalogue import did_you_mean

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class RingState(msgspec.Struct, frozen=True):
    """One ring, empty for the laptops without one. `reporting`: those that were seen in
    the last day, by the hour. `software`: laptops by the version of their agent, the
    newest first. `changes`: what its policy sets, by dotted key. `named`: it is in the
    settings."""

    name: str
    laptops: int
    reporting: int
    software: tuple[tuple[str, int], ...]
    changes: dict[str, str]
    named: bool


def ring_states(
    agents: Iterable[EnrolledAgent], policy: PolicyConfig, now_ms: int
) -> list[RingState]:
    """Each ring that the settings name or a laptop has; revoked and
    replaced laptops do not count. The laptops without a ring come last."""
    members: dict[str, list[EnrolledAgent]] = {name: [] for name in policy.rings}
    members.setdefault("", [])
    for agent in agents:
        if agent.counts:
            members.setdefault(agent.ring, []).append(agent)
    return [
        RingState(
            name,
            len(laptops),
            sum(reported_lately(agent, now_ms) for agent in laptops),
            tuple(software_counts(laptops)),
            changed_settings(policy.rings[name]) if name in policy.rings else {},
            name in policy.rings or not name,
        )
        for name, laptops in sorted(
            members.items(), key=lambda item: (not item[0], item[0])
        )
    ]


def reported_lately(agent: EnrolledAgent, now_ms: int) -> bool:
    """Whether it was seen in the last day. The registry keeps only the hour."""
    return agent.last_seen_ms >= now_ms - now_ms % HOUR_MS - DAY_MS


def software_counts(agents: Iterable[EnrolledAgent]) -> list[tuple[str, int]]:
    """Laptops by the version of their agent, the newest first; the version is empty
    for those that have not reported."""
    counts = Counter(agent.software for agent in agents)
    return sorted(counts.items(), key=lambda item: _newest_first(item[0]))


def _newest_first(version: str) -> tuple[list[int], str]:
    numbers = [int(number) for number in re.findall(r"\d{1,9}", version)]
    return [-number for number in numbers[:4]] or [1], version


def changed_settings(part: StrictModel, before: str = "") -> dict[str, str]:
    """What is set in `part`, by dotted key, as TOML shows it."""
    changes: dict[str, str] = {}
    for name in type(part).model_fields:
        if name not in part.model_fields_set:
            continue
        value = getattr(part, name)
        if isinstance(value, StrictModel):
            changes |= changed_settings(value, f"{before}{name}.")
        elif isinstance(value, dict):
            changes |= {f"{before}{name}.{key}": str(v) for key, v in value.items()}
        else:
            changes[before + name] = _value_text(value)
    return changes


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"{len(value)} in the list" if value else "none"
    return str(value)


def unknown_ring_text(
    ring: str, policy: PolicyConfig, agents: Iterable[EnrolledAgent]
) -> str:
    """Why there is no such ring; empty if the settings name it or a laptop has it."""
    known = sorted({*policy.rings, *(agent.ring for agent in agents)} - {""})
    if ring in known:
        return ""
    there_are = f" (there are {', '.join(known)})" if known else ": there is none"
    return f"no ring is called {ring!r}{did_you_mean(ring, known)}{there_are}"
