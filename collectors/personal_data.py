"""Every place that may hold what was measured on one laptop, and how it is removed.

Erasing, the 30-day limit, docs/privacy.md and the tests all use this list. A laptop is
known by its pseudonym everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from collectors.journal.quarantine import aside_ms, matching_lines, remove_lines
from collectors.personal_readers import (
    Record,
    read_body,
    read_broker,
    read_lines,
    read_registry,
    read_request,
    read_segment,
)
from collectors.support_codes import (
    count_support,
    erase_support,
    prune_support,
    read_support,
)
from collectors.written_answers import (
    WRITTEN_FILE,
    count_answers,
    erase_answers,
    prune_answers,
    read_answers,
)

PERSONAL_DAYS = 30
Root = Literal["journal", "store", "bodies", "registry", "api", "broker"]


class PersonalDataPlace(msgspec.Struct, frozen=True):
    """Files that may name a laptop: `glob` in the folder that the settings have for
    `root`.

    `erase` and `prune` work on one file and return how much they removed. Without them
    the process that writes the files removes it, as `kept` and `erased` describe.
    `count` returns how many lines of a file name one laptop. `read` returns what a file
    holds of it; without it the store is asked for the rows.
    """

    root: Root
    glob: str
    holds: str
    kept: str
    erased: str
    erase: Callable[[Path, str], int] | None = None
    prune: Callable[[Path, int], int] | None = None
    count: Callable[[Path, str], int] | None = None
    read: Callable[[Path, str], list[Record]] | None = None


def erase_lines(path: Path, agent: str) -> int:
    """Removes the lines that name that laptop."""
    return remove_lines(path, _names(agent))


def count_lines(path: Path, agent: str) -> int:
    """How many lines name that laptop."""
    return len(matching_lines(path, _names(agent)))


def read_rows_of_lines(path: Path, agent: str) -> list[Record]:
    """The laptop's rows in those lines."""
    return read_lines(path, agent, _names(agent))


def prune_lines(path: Path, before_ms: int) -> int:
    """Removes the lines from before that time."""
    return remove_lines(path, lambda line: aside_ms(line) < before_ms)


def erase_body(path: Path, agent: str) -> int:
    """Removes the file: it could not be read, so its sender is unknown."""
    path.unlink(missing_ok=True)
    return 0


def prune_body(path: Path, before_ms: int) -> int:
    """Removes a body that was received before that time, by its name."""
    stamp = path.name.partition("-")[0]
    if stamp.isdecimal() and int(stamp) >= before_ms:
        return 0
    path.unlink(missing_ok=True)
    return 1


UNREAD_ROWS = PersonalDataPlace(
    "journal",
    "*/*.segment",
    "results that the store and the groups have not read yet",
    "until both have read them, within the hour; 30 days at most if the store is "
    'down. With `journal.kind = "nats"` they are in streams of its servers, just '
    "as long",
    "the store skips them; the file or message is removed as usual, a message's bytes "
    "with the block of the nats-server's file that they are in",
    read=read_segment,
)
PLACES: tuple[PersonalDataPlace, ...] = (
    UNREAD_ROWS,
    PersonalDataPlace(
        "journal",
        "*/dead/*.jsonl",
        "rows that do not fit the catalogue (16 MB at most)",
        "30 days",
        "its lines are removed at once",
        erase_lines,
        prune_lines,
        count_lines,
        read_rows_of_lines,
    ),
    PersonalDataPlace(
        "store",
        "aside/*.jsonl",
        "rows that the store refused (16 MB at most)",
        "30 days",
        "its lines are removed at once",
        erase_lines,
        prune_lines,
        count_lines,
        read_rows_of_lines,
    ),
    PersonalDataPlace(
        "store",
        "personal/**/*",
        "rows about one laptop; with InfluxDB in the database `<name>_personal`",
        "30 days; `store.personal_days` can shorten this, nothing can lengthen it",
        "within a minute of Towpath running; with InfluxDB at once (3 Core cannot): no "
        "query has them, but its files keep the values until it compacts them, and the "
        "pseudonym, as the name of a series, until the database is dropped",
    ),
    PersonalDataPlace(
        "store",
        "tmp/*",
        "the same rows, while they are written to files",
        "seconds; removed at every start",
        "as the rows",
    ),
    PersonalDataPlace(
        "store",
        "erased/*",
        "pseudonyms of erased laptops, so that none of their data comes back",
        "30 days",
        "kept: erasing needs it",
        read=read_request,
    ),
    PersonalDataPlace(
        "bodies",
        "*.body",
        "the last report bodies that could not be read (200 at most), without their "
        "sender",
        "30 days",
        "all are removed, because their senders are unknown",
        erase_body,
        prune_body,
        read=read_body,
    ),
    PersonalDataPlace(
        "registry",
        "agents.sqlite*",
        "enrolled laptops: pseudonym, home site, team, ring, hashes of secrets, keyed "
        "hash of the computer's number, versions of agent and policy, hour last seen; "
        "what people did to them, for a year",
        "until erased; 400 days after it was last seen (`ingest.registry.unseen_days`)",
        "at once",
        read=read_registry,
    ),
    PersonalDataPlace(
        "registry",
        "support-codes.sqlite",
        "support codes as hashes, and who at the service desk has opened a laptop's "
        "last day with one, and when; figures of a browser's check that its person "
        "sent with the code",
        "a code opens for an hour; both are kept 30 days, so that the laptop can show "
        "who looked; checks are shown while the code is good, and removed when the "
        "file is next used after an hour, within 30 days at most",
        "at once",
        erase_support,
        prune_support,
        count_support,
        read_support,
    ),
    PersonalDataPlace(
        "api",
        WRITTEN_FILE,
        "answers to programs that changed a laptop with an `Idempotency-Key`: what "
        "`towpath fleet list` shows of it",
        "a day; removed when the file is next used, within 30 days at most",
        "at once",
        erase_answers,
        prune_answers,
        count_answers,
        read_answers,
    ),
    PersonalDataPlace(
        "broker",
        "*",
        "user names of laptops that use MQTT; mosquitto's own database has messages "
        "that Towpath has not read yet (none is retained)",
        "as enrolled laptops; messages until Towpath reads them, 30 days at most",
        "within seconds; messages of an unknown laptop are refused when they are read",
        read=read_broker,
    ),
)


def erase_agent(folders: Mapping[Root, Path], agent: str) -> int:
    """Removes a laptop from every file with an `erase` function.

    Returns how many lines named it. Raises `OSError`.
    """
    return sum(
        place.erase(path, agent)
        for place in PLACES
        if place.erase is not None
        for path in place_files(folders, place)
    )


def read_agent(
    folders: Mapping[Root, Path], agent: str
) -> Iterator[tuple[PersonalDataPlace, list[Record]]]:
    """What each place with a `read` function holds of a laptop. Raises `OSError` or
    `sqlite3.Error`."""
    for place in PLACES:
        if place.read is not None:
            paths = place_files(folders, place)
            yield place, [found for path in paths for found in place.read(path, agent)]


def count_agent_lines(folders: Mapping[Root, Path], agent: str) -> int:
    """How many lines of those files name a laptop. Raises `OSError`."""
    return sum(
        place.count(path, agent)
        for place in PLACES
        if place.count is not None
        for path in place_files(folders, place)
    )


def prune_files(folders: Mapping[Root, Path], before_ms: int) -> int:
    """Removes everything from before that time. Raises `OSError`."""
    return sum(
        place.prune(path, before_ms)
        for place in PLACES
        if place.prune is not None
        for path in place_files(folders, place)
    )


def _names(agent: str) -> Callable[[bytes], bool]:
    """A test whether a line names that laptop, as a tag or as a batch's source."""
    named = re.compile(rb"[\"'/]" + re.escape(agent.encode()) + rb"[\"']")
    return lambda line: named.search(line) is not None


def place_files(folders: Mapping[Root, Path], place: PersonalDataPlace) -> list[Path]:
    """The files of a place that there are now."""
    folder = folders.get(place.root)
    return [] if folder is None else sorted(folder.glob(place.glob))
