"""Which rows of a DMZ node are taken inside. Pure.

A node that was broken into can write whatever it likes to its stream. So rows are taken
only if a laptop that is let in could have sent them, or if the node says them about
itself, and then under its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from collectors.batch import Batch
from collectors.self_measurements import SELF_MEASUREMENTS
from probes.wire.measurements import MEASUREMENTS

_OF_LAPTOPS = frozenset(measurement.name for measurement in MEASUREMENTS)
_OF_ITSELF = frozenset(
    measurement.name
    for measurement in SELF_MEASUREMENTS
    if any(tag.name == "process" for tag in measurement.tags)
)
NOT_ENROLLED, NOT_ITS_OWN = "not enrolled", "not its own"


class PulledRows(msgspec.Struct, frozen=True):
    """The batches to append, and how many rows were left out, by reason."""

    batches: list[Batch]
    left_out: Counter[str]


def take_rows(
    batches: Iterable[Batch], node: str, is_enrolled: Callable[[str], bool]
) -> PulledRows:
    """The rows that are taken from that node."""
    taken: list[Batch] = []
    left_out: Counter[str] = Counter()
    for batch in batches:
        if batch.measurement in _OF_LAPTOPS:
            agents = batch.tag("agent")
            fit = batch.rows([n for n, a in enumerate(agents) if is_enrolled(a)])
            left_out[NOT_ENROLLED] += len(batch) - len(fit)
            if len(fit):
                taken.append(fit)
        elif batch.measurement in _OF_ITSELF and "process" in batch.schema.tags:
            taken.append(_named(batch, node))
        else:
            left_out[NOT_ITS_OWN] += len(batch)
    return PulledRows(taken, +left_out)


def _named(batch: Batch, node: str) -> Batch:
    """With the node's name as that of the process: it cannot speak for another one."""
    at = 1 + batch.schema.tags.index("process")
    columns = list(batch.columns)
    columns[at] = [f"dmz+{node}"] * len(batch)
    return Batch(batch.source, batch.received_ms, batch.schema, tuple(columns))
