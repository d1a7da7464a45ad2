"""Removes what a DMZ node keeps aside of laptops that are not enrolled any more.

`towpath fleet erase` reaches no file of the node, so the node removes it itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from collectors.journal.quarantine import QuarantinedLine, remove_lines
from collectors.personal_data import PLACES, Root, erase_body, erase_lines, place_files

_LAPTOP = "agent/"


def remove_leftovers(
    folders: Mapping[Root, Path], is_enrolled: Callable[[str], bool]
) -> int:
    """Removes the rows that did not fit of laptops that are not enrolled, and all
    bodies that could not be read, because their senders are unknown. Returns how many
    there were. Raises `OSError`."""
    removed = 0
    for place in PLACES:
        for path in place_files(folders, place):
            if place.erase is erase_body:
                path.unlink(missing_ok=True)
                removed += 1
            elif place.erase is erase_lines:
                removed += remove_lines(path, lambda line: _is_old(line, is_enrolled))
    return removed


def _is_old(line: bytes, is_enrolled: Callable[[str], bool]) -> bool:
    """Whether a line is of a laptop that is not enrolled, or of an unknown sender."""
    try:
        sender = msgspec.json.decode(line, type=QuarantinedLine).batch.source
    except msgspec.MsgspecError:
        return True
    of_laptop = sender.startswith(_LAPTOP)
    return of_laptop and not is_enrolled(sender.removeprefix(_LAPTOP))
