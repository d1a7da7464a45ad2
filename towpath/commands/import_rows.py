"""What the commands have in common that import what a person exported: rows go to the
journal, as measured ones do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probes.wire.clock import wall_ms
from probes.wire.counted_text import counted
from probes.wire.display import displayable
from towpath.commands.shared import fail, run_async, usage_error

if TYPE_CHECKING:
    from collectors.calls.sheet_dates import DateOrder
    from probes.wire.sample import Sample
    from towpath.config import TowpathConfig

# Remarks and names of one kind.
SHOWN = 8
DatesOption = Annotated[
    str, typer.Option(metavar="dmy|mdy", help="the order in dates like 03/04/2026")
]
_ORDERS: Mapping[str, DateOrder | None] = {"": None, "dmy": "dmy", "mdy": "mdy"}


def date_order(dates: str) -> DateOrder | None:
    """Returns the order that `--dates` says, if it does."""
    if dates not in _ORDERS:
        usage_error([f"--dates {dates!r}: expected dmy or mdy"])
    return _ORDERS[dates]


def report_left_out(
    file: Path,
    unread: Sequence[str],
    left_out: Sequence[str],
    samples: Sequence[Sample],
) -> None:
    """Says what of the file is not imported: the first rows that cannot be read, and
    the sentences `left_out`. Fails if there are no rows then."""
    remarks = [*unread[:SHOWN]]
    if (more := len(unread) - SHOWN) > 0:
        remarks.append(f"and {counted(more, 'more row')} that cannot be read")
    for remark in (*remarks, *left_out):
        typer.echo(displayable(f"{file}: {remark}"), err=True)
    if not samples:
        fail(f"{file}: no row could be used")


def import_rows(
    settings: TowpathConfig, samples: Sequence[Sample], source: str, subject: str
) -> None:
    """Appends the rows, and says how many of how many sites or rooms: values of the
    tag `subject`."""
    run_async(_append(settings, samples, source))
    count = len({sample.tags[subject] for sample in samples})
    typer.echo(f"imported {counted(len(samples), 'row')} of {counted(count, subject)}")


async def _append(
    settings: TowpathConfig, samples: Sequence[Sample], source: str
) -> None:
    """Appends the rows, or fails in one sentence."""
    from collectors.batch import batch_samples
    from collectors.journal import JournalFailed, JournalTaken
    from towpath.journal_kind import JournalKind

    name = f"import-{source.partition('/')[0]}"
    try:
        kind = JournalKind(settings.journal, settings.nats, name)
        async with kind.opened() as journal:
            await journal.append(*batch_samples(samples, source, wall_ms()))
    except (JournalTaken, JournalFailed, ValueError) as error:
        fail(f"import: {error}")
