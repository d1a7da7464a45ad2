"""`StorePart`: which rows one of several writers of the store writes. Pure.

All series of a subject are in one part: the value of the first tag, such as a device or
laptop. So a poll's rows are kept or left as a whole, and a part can roll up its own
subjects without the others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping

from collectors.batch import Batch
from collectors.journal import Position, Positions
from collectors.store.store_text import clean_tag
from probes.wire.catalogue import Catalogue

_NAME = re.compile(r"^store(?:-([1-9]\d*)-of-([1-9]\d*))?$")


@dataclasses.dataclass(frozen=True)
class StorePart:
    """Part `number` of `count`, from 1. The default is a writer of all rows."""

    number: int = 1
    count: int = 1

    @property
    def reader(self) -> str:
        """Its reader of the journal."""
        return f"store{self.suffix}"

    @property
    def suffix(self) -> str:
        """For names of what each part has of its own; empty without other parts."""
        return f"-{self.number}-of-{self.count}" if self.count > 1 else ""

    @property
    def parts(self) -> list[StorePart]:
        """All parts that write the store together."""
        return [StorePart(number, self.count) for number in range(1, self.count + 1)]

    def has(self, measurement: str, subject: str) -> bool:
        """Whether it writes the rows of `subject`. Always the same for a name: rows
        that are read again must come to the part that wrote them."""
        if self.count == 1:
            return True
        text = f"{measurement}\0{clean_tag(subject)}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1

    def rows(self, batches: Iterable[Batch], catalogue: Catalogue) -> list[Batch]:
        """The rows of `batches` that it writes."""
        if self.count == 1:
            return list(batches)
        found = []
        for batch in batches:
            name, subjects = batch.measurement, [""] * len(batch)
            # What is not in the catalogue is set aside by one part.
            if name in catalogue and (tags := catalogue.measurement(name).tags):
                subjects = batch.tag(tags[0].name)
            own = {subject for subject in set(subjects) if self.has(name, subject)}
            if own:
                at = [n for n, subject in enumerate(subjects) if subject in own]
                found.append(batch.rows(at))
        return found


def part_of(reader: str) -> StorePart | None:
    """The part whose reader it is; None if it is another reader."""
    found = _NAME.match(reader)
    if found is None:
        return None
    part = StorePart(int(found[1] or 1), int(found[2] or 1))
    return part if part.number <= part.count and part.reader == reader else None


def whole_sets(known: Collection[StorePart]) -> list[list[StorePart]]:
    """Returns the parts of each number of writers whose parts are all `known`."""
    counts = sorted({part.count for part in known})
    groups = [StorePart(1, count).parts for count in counts]
    return [parts for parts in groups if all(part in known for part in parts)]


def first_positions(
    part: StorePart, saved: Mapping[StorePart, Positions]
) -> Positions | None:
    """Returns where a part begins to read: rather too early than too late, as a row
    that is written again replaces itself.

    `saved`: up to where each part has stored its rows, also those of another number
    of parts. What all parts of a number have stored needs no other.
    """
    if part in saved:
        return saved[part]
    known = [saved[other] for parts in whole_sets(saved) for other in parts]
    if not known:
        return None
    logs = set.intersection(*map(set, known))
    return {
        log: min((positions[log] for positions in known), key=_order) for log in logs
    }


def have_passed(positions: Iterable[Positions], old: Positions) -> bool:
    """Whether all of `positions` are where `old` is, or further, in each log."""
    return all(
        log in new and _order(new[log]) >= _order(position)
        for new in positions
        for log, position in old.items()
        if _order(position) > (0, 0)
    )


def _order(position: Position) -> tuple[int, int]:
    return position.segment, position.offset
