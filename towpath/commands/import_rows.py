"""Rows that a person imports go to the journal, as measured ones do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes.wire.clock import wall_ms
from towpath.commands.shared import fail

if TYPE_CHECKING:
    from probes.wire.sample import Sample
    from towpath.config import TowpathConfig


async def append_imported(
    settings: TowpathConfig, samples: Iterable[Sample], source: str
) -> None:
    """Appends the rows, or fails in one sentence."""
    from collectors.batch import batch_samples
    from collectors.journal import JournalFailed, JournalTaken
    from towpath.journal_kind import OpenedJournal

    name = f"import-{source.partition('/')[0]}"
    try:
        async with OpenedJournal(settings.journal, settings.nats, name) as journal:
            await journal.append(*batch_samples(samples, source, wall_ms()))
    except (JournalTaken, JournalFailed, ValueError) as error:
        fail(f"import: {error}")
