"""`BaselineKeeper`: since when the engine has known each device."""

from __future__ import annotations

from collections.abc import Mapping

from alerts.alert import Alert
from alerts.alert_store import BaselineChanges
from alerts.estate_index import EstateIndex
from alerts.evaluation.learning import (
    FirstSeen,
    Learning,
    identities,
    mark_well,
    well_subjects,
)
from alerts.series import Target
from alerts.window import Window
from collectors.batch import Batch


class BaselineKeeper:
    """Makes the `Learning` of each cycle. `lasts_ms`: how long a device is new."""

    def __init__(self, lasts_ms: int) -> None:
        self._lasts_ms = lasts_ms
        self._known: dict[str, FirstSeen] = {}
        self._identities: dict[str, str] = {}
        self._were_well: set[Target] = set()
        self._choices: Mapping[str, str] = {}
        self._estate_index: EstateIndex | None = None

    def load(self, known: dict[str, FirstSeen]) -> None:
        self._known = known

    def append(self, window: Window, batch: Batch) -> None:
        """Adds the batch to the window. Several may come before the next evaluation,
        as after a restart: what was well in between is noted here."""
        earlier, window.changed = window.changed, set()
        window.append(batch)
        self._were_well |= well_subjects(window, window.changed)
        mark_well(window, window.changed)
        earlier |= window.changed
        window.changed = earlier
        self._identities |= identities(batch)

    def learning(
        self,
        window: Window,
        estate_index: EstateIndex,
        choices: Mapping[str, str],
        now_ms: int,
    ) -> Learning:
        self._choices = choices
        learning = Learning(
            self._known,
            estate_index,
            self._lasts_ms,
            now_ms,
            choices,
            self._identities,
            self._were_well,
        )
        if estate_index is not self._estate_index:
            self._estate_index = estate_index
            learning.forget_unknown(window)
        return learning

    def changes(
        self, learning: Learning, parts: Mapping[str, Alert | None]
    ) -> BaselineChanges:
        """What the cycle changed, to be written."""
        learnt = [key for key, choice in self._choices.items() if choice == "learn"]
        return BaselineChanges(parts, learning.changes, learnt)

    def written(self, learning: Learning) -> None:
        """The changes of the cycle are in the file."""
        self._identities.clear()
        self._were_well.clear()
        for owner, first_seen in learning.changes.items():
            if first_seen is None:
                self._known.pop(owner, None)
            else:
                self._known[owner] = first_seen
