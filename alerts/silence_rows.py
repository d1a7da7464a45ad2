"""Rows of `silence`: what is not paged, until when and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.suppression import Silence
from probes.wire.sample import Sample


def silence_samples(
    silences: Sequence[Silence],
    states: Iterable[AlertState],
    estate_index: EstateIndex,
    now_ms: int,
) -> list[Sample]:
    """Returns a row for each silence that has not ended.

    Who made it is left out: boards are shared, and the reason is what matters there.
    """
    firing = [state for state in states if state.state == "firing"]
    return [
        Sample(
            "silence",
            {
                "silence": str(silence.id),
                "site": silence.site or _site_of(silence.device, estate_index),
                "device": silence.device,
                "rule": silence.rule,
            },
            {
                "planned": int(bool(silence.planned)),
                "active": int(silence.from_ms <= now_ms),
                "from_ms": silence.from_ms,
                "until_ms": silence.until_ms,
                "covers": sum(silence.covers(state, now_ms) for state in firing),
                "why": silence.why,
            },
            now_ms,
        )
        for silence in silences
        if now_ms < silence.until_ms
    ]


def _site_of(device: str, estate_index: EstateIndex) -> str:
    known = estate_index.devices.get(device)
    return known.site if known else ""
