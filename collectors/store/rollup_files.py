"""`RollUpFiles`: the files that say which roll-ups in InfluxDB are out of date.

Each writer has one, of the subjects that are its part. If the number of writers was
changed, there are files of another number too until the new ones have taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import structlog

from collectors.store.store_parts import StorePart, part_of, whole_sets

_log = structlog.get_logger(__name__)
_Span = tuple[int, int]
_Spans = dict[str, _Span]


class RollUpState(msgspec.Struct):
    """What a file has: measurement → step → starts of buckets that are out of date,
    and measurement → the times [from, to) of older rows that are not rolled up.
    `whole_days` is the same for its days, which follow. (`days`, which older files
    have, were those of ranks alone: all days are rolled up again.)"""

    pending: dict[str, dict[str, list[int]]] = {}
    history: _Spans = {}
    whole_days: _Spans = {}


class RollUpFiles:
    """Those of one database. Everything here is blocking."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder, self._begin = folder, f"rollups-{database}"

    def path(self, part: StorePart) -> Path:
        return self._folder / f"{self._begin}{part.suffix}.json"

    def found(self) -> dict[StorePart, Path]:
        """The files that there are."""
        found = {}
        for path in sorted(self._folder.glob(f"{self._begin}*.json")):
            part = part_of("store" + path.stem.removeprefix(self._begin))
            if part is not None:
                found[part] = path
        return found

    def first_state(self, part: StorePart) -> RollUpState:
        """What a writer begins with: what it left, and what others have left to it."""
        states = {other: load_state(path) for other, path in self.found().items()}
        return merged_state(states, part)

    def remove_others(self, part: StorePart) -> None:
        """Removes the files of another number of writers, once each of this number has
        its own."""
        found = self.found()
        if all(own in found for own in part.parts):
            for other, path in found.items():
                if other.count != part.count:
                    path.unlink(missing_ok=True)


def merged_state(
    states: Mapping[StorePart, RollUpState], part: StorePart | None = None
) -> RollUpState:
    """Returns what is out of date in any of `states`. A measurement's older
    rows are known if `part` knows them, or else if all writers of a number do."""
    pending: dict[str, dict[str, set[int]]] = {}
    for state in states.values():
        for name, steps in state.pending.items():
            for step, starts in steps.items():
                pending.setdefault(name, {}).setdefault(step, set()).update(starts)
    if part is not None and part in states:
        groups = [[states[part]]]
    else:
        groups = [[states[other] for other in parts] for parts in whole_sets(states)]
    return RollUpState(
        {
            name: {step: sorted(starts) for step, starts in steps.items()}
            for name, steps in pending.items()
        },
        _all_spans(
            [[state.history for state in group] for group in groups],
            [state.history for state in states.values()],
        ),
        _all_spans(
            [[state.whole_days for state in group] for group in groups],
            [state.whole_days for state in states.values()],
        ),
    )


def _all_spans(groups: Iterable[list[_Spans]], spans: list[_Spans]) -> _Spans:
    """The times in any of `spans`, of the measurements that a whole group has."""
    known = {name for group in groups for name in set.intersection(*map(set, group))}
    found: _Spans = {}
    for name in sorted(known):
        each = [one[name] for one in spans if name in one]
        # A span that is done says nothing about others.
        left = [span for span in each if span[0] < span[1]] or each
        found[name] = min(span[0] for span in left), max(span[1] for span in left)
    return found


def load_state(path: Path) -> RollUpState:
    """Returns what the file has (blocking); if it cannot be read, nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RollUpState)
    except FileNotFoundError:
        return RollUpState()
    except (OSError, ValueError) as error:
        _log.error("rollup_backlog_unreadable", file=str(path), error=str(error))
        return RollUpState()
