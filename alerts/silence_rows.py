"""Rows of `silence`: what is not paged, until when and why. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.rule_files import Rules
from alerts.silence import Silence
from alerts.silence_coverage import SilenceCoverage, next_times
from probes.wire.sample import Sample


def silence_samples(
    silences: Sequence[Silence],
    states: Iterable[AlertState],
    rules: Rules,
    estate_index: EstateIndex,
    now_ms: int,
) -> list[Sample]:
    """Returns a row for each silence in force, and for the next time of others.

    Who made it is left out: boards are shared, and the reason is what matters there.
    """
    coverage = SilenceCoverage(silences, rules, estate_index, now_ms)
    covers = Counter(
        silence.id
        for state in states
        if state.state == "firing"
        for silence in coverage.covering(state)
    )
    return [
        Sample(
            "silence",
            {
                "silence": str(silence.id),
                "site": _site_of(silence, estate_index),
                "device": silence.device,
                "line": silence.line,
                "supplier": silence.supplier,
                "rule": silence.rule,
            },
            {
                "planned": int(bool(silence.planned)),
                "active": int(silence.from_ms <= now_ms),
                "from_ms": silence.from_ms,
                "until_ms": silence.until_ms,
                "covers": covers[silence.id],
                "why": silence.why,
            },
            now_ms,
        )
        for silence in next_times(silences, now_ms)
    ]


def _site_of(silence: Silence, estate_index: EstateIndex) -> str:
    if silence.site:
        return silence.site
    device = estate_index.devices.get(silence.device)
    line = estate_index.lines.get(silence.line)
    return device.site if device else line.site if line else ""
