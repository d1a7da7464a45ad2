"""The journal: sources append to it, and it is on disk before they acknowledge. Every
reader follows it from its own position."""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from collectors.journal.batch_reader import BatchReader, OpenReader
    from collectors.journal.following import Away, Effect, FollowConfig, follow
    from collectors.journal.frame import Newer
    from collectors.journal.journal_config import (
        JournalConfig,
        JournalFailed,
        JournalFull,
        JournalTaken,
    )
    from collectors.journal.journal_reader import (
        Chunk,
        JournalReader,
        ReaderTaken,
        forget_reader,
        passed_positions,
    )
    from collectors.journal.journal_stats import (
        JournalStats,
        ReaderStats,
        journal_sample,
        reader_sample,
    )
    from collectors.journal.journal_writer import Append, Journal, UnhurriedAppend
    from collectors.journal.quarantine import Quarantine
    from collectors.journal.segment import Position, Positions
else:
    __getattr__ = export_late(__name__)

__all__ = [
    "Append",
    "Away",
    "BatchReader",
    "Chunk",
    "Effect",
    "FollowConfig",
    "Journal",
    "JournalConfig",
    "JournalFailed",
    "JournalFull",
    "JournalReader",
    "JournalStats",
    "JournalTaken",
    "Newer",
    "OpenReader",
    "Position",
    "Positions",
    "Quarantine",
    "ReaderStats",
    "ReaderTaken",
    "UnhurriedAppend",
    "follow",
    "forget_reader",
    "journal_sample",
    "passed_positions",
    "reader_sample",
]
