"""The store role: a writer, and what is done once beside several writers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from collectors.calls.agreement_keeper import AgreementKeeper
from collectors.deletion_clock import DeletionClock
from collectors.estate import EstateFile
from collectors.experience.experience_reader import ExperienceReader
from collectors.experience.parity_keeper import ParityKeeper
from collectors.experience.team_members import TeamMembers
from collectors.journal import Journal
from collectors.retention import Retention
from collectors.store import StorePart, StoreWriter, saved_positions
from collectors.store.writer_set import WriterSet
from probes.wire.clock import WallClock
from towpath.config import TowpathConfig
from towpath.journal_kind import JournalKind
from towpath.process_pieces import Pieces, Sources
from towpath.role_parts import retention_jobs

_PART = re.compile(r"^store(?:-(\d{1,3}))?$")


def split_part(writers: int, roles: Sequence[str]) -> tuple[list[str], StorePart]:
    """The roles by their plain names, and the part of the store: `store-2` is part 2.
    Raises `ValueError` if they do not fit the number of writers."""
    plain, found = [], []
    for name in roles:
        match = _PART.match(name)
        plain.append("store" if match else name)
        if match:
            found.append(int(match[1] or 0))
    if not found or (found == [0] and writers == 1):
        return plain, StorePart()
    if writers == 1 or len(found) > 1 or not 1 <= found[0] <= writers:
        named = ",".join(name for name in roles if _PART.match(name))
        expected = "store" if writers == 1 else f"one of store-1 to store-{writers}"
        raise ValueError(f"{named!r}: store.writers is {writers}: expected {expected}")
    return plain, StorePart(found[0], writers)


def store_role(
    config: TowpathConfig,
    part: StorePart,
    kind: JournalKind,
    store: Any,
    journal: Journal,
    estate: EstateFile,
    process: str,
    now_ms: WallClock,
    clock: DeletionClock,
) -> tuple[Pieces, Sources]:
    """Its pieces in the order of their start, and their rows. Part 1 does what is done
    once: groups of laptops, parity, agreement with Microsoft's record, retention of
    files."""
    reader = kind.reader(part.reader, saved_positions(config.store, part))
    writers = WriterSet(config.store, part, kind.known_readers())
    writer = StoreWriter(config.store, reader, store, now_ms, part, clock.bounded)
    name = "store writer"
    if part.count > 1:
        name += f" {part.number} of {part.count}"
    pieces: Pieces = [
        ("writers of the store", writers),
        (f"reader {part.reader}", reader),
        (name, writer),
    ]
    sources: Sources = [
        ("store", lambda at: writer.samples(process, at)),
        ("other writers", lambda at: writers.samples(process, at)),
    ]
    if part.number > 1:
        return pieces, sources
    grouping = ExperienceReader(
        config.groups,
        kind.reader,
        config.state / "groups.json",
        journal,
        now_ms,
        TeamMembers(config.ingest.registry.path).teams,
    )
    pieces.append((f"groups of at least {config.groups.least} agents", grouping))
    sources.append(("groups", lambda at: [grouping.sample(process)]))
    parity = ParityKeeper(
        store,
        journal,
        lambda: estate.current,
        config.state / "parity.json",
        config.groups.least,
        clock.ms,
    )
    pieces.append(("experience parity of each month", parity))
    if config.calls.enabled:
        agreement = AgreementKeeper(store, journal, lambda: estate.current, clock.ms)
        pieces.append(("what test calls saw of Microsoft's record", agreement))
    retention = Retention(retention_jobs(config), clock.ms)
    pieces.append(("retention of files", retention))
    return pieces, sources
