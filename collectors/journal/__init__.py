"""The journal: what sources append is on disk before they acknowledge it, and every
reader follows it from its own position."""

from collectors.journal.aside import Aside
from collectors.journal.config import (
    JournalConfig,
    JournalFailed,
    JournalFull,
    JournalTaken,
)
from collectors.journal.follow import Away, Effect, FollowConfig, follow
from collectors.journal.frame import Newer
from collectors.journal.reader import (
    Chunk,
    Reader,
    ReaderTaken,
    forget_reader,
    passed_positions,
)
from collectors.journal.segment import Position, Positions
from collectors.journal.stats import (
    JournalStats,
    ReaderStats,
    journal_sample,
    reader_sample,
)
from collectors.journal.writer import Append, Journal

__all__ = [
    "Append",
    "Aside",
    "Away",
    "Chunk",
    "Effect",
    "FollowConfig",
    "Journal",
    "JournalConfig",
    "JournalFailed",
    "JournalFull",
    "JournalStats",
    "JournalTaken",
    "Newer",
    "Position",
    "Positions",
    "Reader",
    "ReaderStats",
    "ReaderTaken",
    "follow",
    "forget_reader",
    "journal_sample",
    "passed_positions",
    "reader_sample",
]
