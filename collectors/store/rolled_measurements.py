"""Which measurements are rolled up in InfluxDB, and into which fields. Pure.

`interface_5m` and `interface_1h` have one row for each series of `interface` in each 5
minutes and each hour. Their time is the start of the bucket, their tags are those of
the rows. For each field there are parts that can be merged further, named
`<field>_<part>`: the number of values (`n`), their `sum`, `min`, `max` and `last`. For
a field with a weight there are instead of `n` and `sum` the sums of the weights
(`weight`) and of value times weight (`product`). So a mean over any buckets and series
is sum ÷ n, or product ÷ weight, and equals that of the rows. `mean` is sum ÷ n, only
for percentiles of means.

The embedded store has roll-ups of its own (`collectors.store.rollup`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from collectors.store.query import Pick, Query, weight_field
from probes.wire.catalogue import Field, Measurement

Part = Literal["n", "sum", "mean", "min", "max", "last", "product", "weight"]
MINUTES_5_MS = 5 * 60_000
HOUR_MS = 3_600_000
# The shortest first; each divides the next.
STEPS_MS: dict[str, int] = {"5m": MINUTES_5_MS, "1h": HOUR_MS}
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


def rolled_fields(declared: Measurement) -> Iterator[RolledField]:
    """Yields the fields of a measurement's roll-ups."""
    for field in declared.fields:
        for part in _parts(field, declared):
            yield RolledField(field.name, part)


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
    """Returns the roll-ups that answer `query` as its rows do.

    Percentiles are only in them if they are of means, and only by the step of these.
    They are of the means of each series then, so each group has to be one series.
    """
    steps = rolled_steps(declared)
    if not steps:
        return {}
    if query.mean_step_ms:
        fields = [declared.field(pick.field) for pick in query.picks]
        if any("mean" not in _parts(field, declared) for field in fields):
            return {}
        return {k: ms for k, ms in steps.items() if ms == query.mean_step_ms}
    if any(parts_of(pick, declared) is None for pick in query.picks):
        return {}
    return steps


def _parts(field: Field, declared: Measurement) -> tuple[Part, ...]:
    if field.type == "str":
        return ("last",)
    parts = ROLLED[declared.name] if field.type == "float" else _OF_WHOLE
    if field.weight:
        of_rows = (part for part in parts if part not in ("n", "sum", "mean"))
        return ("product", "weight", *of_rows)
    return parts
