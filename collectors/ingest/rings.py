"""Rings: parts of the fleet that a new policy reaches one after the other. Pure."""

from __future__ import annotations

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
    the last day, by the hour. `changes`: what its policy sets, by dotted key. `named`:
    it is in the settings."""

    name: str
    laptops: int
    reporting: int
    changes: dict[str, str]
    named: bool


def ring_states(
    agents: Iterable[EnrolledAgent], policy: PolicyConfig, now_ms: int
) -> list[RingState]:
    """Each ring that the settings name or a laptop has; revoked laptops do not count.
    The laptops without a ring come last."""
    members: dict[str, list[EnrolledAgent]] = {name: [] for name in policy.rings}
    members.setdefault("", [])
    for agent in agents:
        if not agent.revoked:
            members.setdefault(agent.ring, []).append(agent)
    return [
        RingState(
            name,
            len(laptops),
            sum(reported_lately(agent, now_ms) for agent in laptops),
            changed_settings(policy.rings[name]) if name in policy.rings else {},
            name in policy.rings or not name,
        )
        for name, laptops in sorted(
            members.items(), key=lambda item: (not item[0], item[0])
        )
    ]


def reported_lately(agent: EnrolledAgent, now_ms: int) -> bool:
    """Whether it was seen in the last day. The registry keeps only the hour."""
    return agent.last_seen_ms > now_ms - now_ms % HOUR_MS - DAY_MS


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
