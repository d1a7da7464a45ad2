"""Which measurements are rolled up in InfluxDB, and into which fields. Pure.

`interface_5m` and `interface_1h` have one row for each series of `interface` in each 5
minutes and each hour. Their time is the start of the bucket, their tags are those of
the rows. For each field there are parts that can be merged further, named
`<field>_<part>`: the number of values (`n`), their `sum`, `min`, `max` and `last`. For
a field with a weight there are instead of `n` and `sum` the sums of the weights
(`weight`) and of value times weight (`product`). So a mean over any buckets and series
is sum ÷ n, or product ÷ weight, and equals that of the rows. `mean` is sum ÷ n, only
for percentiles of means.

`interface_1d` has the same parts, except `mean`, for each day of UTC, at its midnight;
they are merged from its hours. If boards show percentiles of a measurement, it also has
up to 24 evenly spaced ranks of the day's five-minute means, at the day's hours (`rank`,
see `collectors.store.day_ranks`). Percentiles of five-minute means over weeks are
percentiles of these.

The embedded store has roll-ups of its own (`collectors.store.rollup`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from collectors.store.query import Pick, Query, weight_field
from probes.wire.catalogue import Field, Measurement

Part = Literal["n", "sum", "mean", "min", "max", "last", "product", "weight", "rank"]
MINUTES_5_MS = 5 * 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HOUR, DAY = "1h", "1d"
# The shortest first; each divides the next.
STEPS_MS: dict[str, int] = {"5m": MINUTES_5_MS, HOUR: HOUR_MS, DAY: DAY_MS}
# Grafana's interval from which ranks are read instead of five-minute means. A figure
# over the whole range has it from three and three quarter days on.
RANKS_FROM_MS = 2 * HOUR_MS
_OF_WHOLE: tuple[Part, ...] = ("n", "sum", "min", "max", "last")
_EVERY: tuple[Part, ...] = (*_OF_WHOLE, "mean")
# Boards never show the lowest or latest rate of a port, and there are many ports.
_OF_RATES: tuple[Part, ...] = ("n", "sum", "max", "mean")
# Measurement → the parts of its numbers with a fraction. Whole numbers have all parts.
ROLLED: dict[str, tuple[Part, ...]] = {
    "device": _EVERY,
    "interface": _OF_RATES,
    "sensor": _EVERY,
    "processor": _EVERY,
    "memory": _EVERY,
    "storage": _EVERY,
    "wireless": _EVERY,
    "line": _EVERY,
    "ip_sla": _EVERY,
    "vpn_gateway": _EVERY,
    "experience": _EVERY,
    "site": _EVERY,
    "self_poll": _EVERY,
    "self_share": _EVERY,
    "self_standby": _EVERY,
    "self_traps": _EVERY,
    "self_journal": _EVERY,
    "self_reader": _EVERY,
    "self_nats": _EVERY,
    "self_stream": _EVERY,
    "self_dmz": _EVERY,
    "self_dmz_node": _EVERY,
    "self_ingest": _EVERY,
    "self_web": _EVERY,
    "self_agents": _EVERY,
    "self_notify": _EVERY,
    "self_disk": _EVERY,
    "self_certificate": _EVERY,
}
# Measurement → the fields of which boards show percentiles of five-minute means.
RANKED: dict[str, tuple[str, ...]] = {
    "interface": ("in_bps", "out_bps", "in_use_ratio", "out_use_ratio"),
    "line": ("down_bps", "up_bps", "down_use_ratio", "up_use_ratio"),
    "wireless": ("value",),
    "ip_sla": ("rtt_ms", "jitter_ms"),
    "vpn_gateway": ("connect_ms", "tls_ms"),
}
# Aggregate → the parts of a field that it is calculated from.
_NEEDS: dict[str, tuple[Part, ...]] = {
    "mean": ("sum", "n"),
    "sum": ("sum",),
    "count": ("n",),
    "weight": ("n",),
    "min": ("min",),
    "max": ("max",),
    "last": ("last",),
}


class RolledField(msgspec.Struct, frozen=True):
    """One field of a roll-up: a part of a field of the rows."""

    field: str
    part: Part

    @property
    def name(self) -> str:
        """The field's name, such as `in_bps_sum`."""
        return f"{self.field}_{self.part}"

    @property
    def merged_by(self) -> str:
        """The InfluxQL function that merges it over buckets and series."""
        return self.part if self.part in ("min", "max", "last") else "sum"


def rolled_name(measurement: str, step: str) -> str:
    """Returns the name of a roll-up: `interface_5m`."""
    return f"{measurement}_{step}"


def rolled_steps(declared: Measurement) -> dict[str, int]:
    """Returns the steps by which a measurement is rolled up: those that are longer than
    its period. Empty if it is not rolled up."""
    if declared.name not in ROLLED or declared.personal:
        return {}
    return {
        step: length
        for step, length in STEPS_MS.items()
        if length > declared.period_s * 1000
    }


def ranked(declared: Measurement) -> tuple[str, ...]:
    """Returns the fields of a measurement that have ranks."""
    return () if declared.personal else RANKED.get(declared.name, ())


def rolled_fields(declared: Measurement, step: str = "") -> Iterator[RolledField]:
    """Yields the fields of a measurement's roll-up by `step`, or of all of them."""
    for field in declared.fields:
        for part in _parts(field, declared):
            if step != DAY or part != "mean":
                yield RolledField(field.name, part)
    if step in (DAY, ""):
        for name in ranked(declared):
            yield RolledField(name, "rank")


def parts_of(pick: Pick, declared: Measurement) -> tuple[RolledField, ...] | None:
    """Returns the fields of a roll-up that `pick` is calculated from: the dividend
    first, then the divisor. None if roll-ups cannot answer it."""
    needed = _NEEDS.get(pick.aggregate)
    if weight_field(pick, declared):
        needed = ("product", "weight") if pick.aggregate == "mean" else ("weight",)
    if needed is None or not set(needed) <= set(
        _parts(declared.field(pick.field), declared)
    ):
        return None
    return tuple(RolledField(pick.field, part) for part in needed)


def answering_steps(query: Query, declared: Measurement) -> dict[str, int]:
    """Returns the roll-ups that answer `query` as its rows do, and from which interval
    in ms.

    Percentiles are only in them if they are of means: by the step of these, and for
    long ranges by ranks of days, if they are of five minutes. They are of the means of
    each series then, so each group has to be one series.
    """
    steps = rolled_steps(declared)
    if query.mean_step_ms:
        fields = [declared.field(pick.field) for pick in query.picks]
        answering = {}
        if all("mean" in _parts(field, declared) for field in fields):
            answering = {k: ms for k, ms in steps.items() if ms == query.mean_step_ms}
        if query.mean_step_ms == MINUTES_5_MS and all(
            field.name in ranked(declared) for field in fields
        ):
            answering[DAY] = RANKS_FROM_MS
        return answering
    if any(parts_of(pick, declared) is None for pick in query.picks):
        return {}
    return steps


def percentile_part(step: str) -> Part:
    """Returns the part of a roll-up that percentiles of means are calculated from."""
    return "rank" if step == DAY else "mean"


def _parts(field: Field, declared: Measurement) -> tuple[Part, ...]:
    if declared.name not in ROLLED:
        return ()
    if field.type == "str":
        return ("last",)
    parts = ROLLED[declared.name] if field.type == "float" else _OF_WHOLE
    if field.weight:
        of_rows = (part for part in parts if part not in ("n", "sum", "mean"))
        return ("product", "weight", *of_rows)
    return parts
