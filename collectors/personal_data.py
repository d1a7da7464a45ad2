"""Every place where what was measured on one laptop may lie, and how it leaves it.

The one list that erasing, the 30 days, docs/privacy.md and the tests go by. A laptop is
known by its pseudonym everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from collectors.journal.quarantine import aside_ms, matching_lines, remove_lines

PERSONAL_DAYS = 30
Root = Literal["journal", "store", "bodies", "registry", "broker"]


class PersonalDataPlace(msgspec.Struct, frozen=True):
    """Files that may name a laptop: `glob` below the folder that `root` means in the
    settings. `erase` and `prune` work on one such file and return how much went;
    without them the files' own writer does it, as `kept` and `erased` say. `count`
    returns how much of one laptop a file has."""

    root: Root
    glob: str
    holds: str
    kept: str
    erased: str
    erase: Callable[[Path, str], int] | None = None
    prune: Callable[[Path, int], int] | None = None
    count: Callable[[Path, str], int] | None = None


def erase_lines(path: Path, agent: str) -> int:
    """Removes the lines that name that laptop."""
    return remove_lines(path, _names(agent))


def count_lines(path: Path, agent: str) -> int:
    """How many lines name that laptop."""
    return len(matching_lines(path, _names(agent)))


def prune_lines(path: Path, before_ms: int) -> int:
    """Removes the lines from before that time."""
    return remove_lines(path, lambda line: aside_ms(line) < before_ms)


def erase_body(path: Path, agent: str) -> int:
    """Removes it: nobody can tell whose it is, as it could not be read."""
    path.unlink(missing_ok=True)
    return 0


def prune_body(path: Path, before_ms: int) -> int:
    """Removes a body that was received before that time, as its name says."""
    stamp = path.name.partition("-")[0]
    if stamp.isdecimal() and int(stamp) >= before_ms:
        return 0
    path.unlink(missing_ok=True)
    return 1


PLACES: tuple[PersonalDataPlace, ...] = (
    PersonalDataPlace(
        "journal",
        "*/*.segment",
        "results that wait for the store and the groups",
        "until both have read them, within the hour; 30 days at most if the store is "
        "away",
        "the store leaves them out; the file goes as before",
    ),
    PersonalDataPlace(
        "journal",
        "*/dead/*.jsonl",
        "rows that do not fit the catalogue (16 MB at most)",
        "30 days",
        "its lines are removed at once",
        erase_lines,
        prune_lines,
        count_lines,
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
    ),
    PersonalDataPlace(
        "store",
        "personal/**/*",
        "rows about one laptop; with InfluxDB in the database `<name>_personal`",
        "30 days; `store.personal_days` can shorten it, nothing lengthens it",
        "within a minute of Towpath running; with InfluxDB at once (3 Core cannot)",
    ),
    PersonalDataPlace(
        "store",
        "tmp/*",
        "the same while files are made of them",
        "seconds; removed at a start",
        "as rows are",
    ),
    PersonalDataPlace(
        "store",
        "erased/*",
        "pseudonyms of laptops that were erased, so that nothing of them comes back",
        "30 days",
        "needed for it",
    ),
    PersonalDataPlace(
        "bodies",
        "*.body",
        "the last bodies of reports that could not be read (200 at most), without who "
        "sent them",
        "30 days",
        "all of them are removed, as nobody can tell whose they are",
        erase_body,
        prune_body,
    ),
    PersonalDataPlace(
        "registry",
        "agents.sqlite*",
        "who is enrolled: pseudonym, home site, hash of a secret, last hour seen",
        "until erased; 400 days after it was last seen (`ingest.registry.unseen_days`)",
        "at once",
    ),
    PersonalDataPlace(
        "broker",
        "*",
        "the user names of laptops that use MQTT; mosquitto's own database has "
        "messages that wait for Towpath (none is retained)",
        "as who is enrolled; messages until Towpath takes them, 30 days at most",
        "within seconds; messages of an unknown laptop are refused when they are taken",
    ),
)


def erase_agent(folders: Mapping[Root, Path], agent: str) -> int:
    """Removes a laptop from every file that has no writer of its own for that; how
    many lines named it. `OSError`."""
    return sum(
        place.erase(path, agent)
        for place in PLACES
        if place.erase is not None
        for path in _files(folders, place)
    )


def count_agent_lines(folders: Mapping[Root, Path], agent: str) -> int:
    """How many lines of those files name a laptop. `OSError`."""
    return sum(
        place.count(path, agent)
        for place in PLACES
        if place.count is not None
        for path in _files(folders, place)
    )


def prune_files(folders: Mapping[Root, Path], before_ms: int) -> int:
    """Removes what is from before that time, likewise. `OSError`."""
    return sum(
        place.prune(path, before_ms)
        for place in PLACES
        if place.prune is not None
        for path in _files(folders, place)
    )


def _names(agent: str) -> Callable[[bytes], bool]:
    """Whether a line names that laptop, as a tag or as the source of a batch."""
    named = re.compile(rb"[\"'/]" + re.escape(agent.encode()) + rb"[\"']")
    return lambda line: named.search(line) is not None


def _files(folders: Mapping[Root, Path], place: PersonalDataPlace) -> list[Path]:
    folder = folders.get(place.root)
    return [] if folder is None else sorted(folder.glob(place.glob))
