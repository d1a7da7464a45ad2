"""How much one SNMP agent can be asked at once, as experience has shown."""

from __future__ import annotations

import msgspec

from collectors.snmp.session.oids import SYS_UP_TIME
from collectors.snmp.session.session import MAX_REPETITIONS

# Variable bindings of one GET: 40 stay under 1,400 bytes on every agent; more is tried
# step by step.
FIRST_VARBINDS = 40
MAX_VARBINDS = 80
# Successes before `AgentLimits` tries more again: at a dozen GETs a minute that is half
# an hour, and a day.
_FIRST_WAIT, _LONGEST_WAIT = 200, 16_000
_MAX_REFUSED = 500
# So many fit into the 484 octets that every agent accepts (RFC 3417 section 3.2).
_ALWAYS_FIT = 10


class AgentLimits(msgspec.Struct):
    """How much one agent can be asked at once; worth keeping over a restart.

    A failure may have been the network's fault. After enough successes a little more is
    tried again, and each failure doubles how many successes that takes.
    """

    # Rows per GETBULK page.
    repetitions: int = MAX_REPETITIONS
    # The largest page that was answered in full.
    proved: int = 0
    # Columns with long values, which need smaller pages than the others.
    narrow: dict[str, int] = {}
    varbinds: int = FIRST_VARBINDS
    # Full GETs answered since `varbinds` last changed.
    good: int = 0
    ceiling: int = MAX_VARBINDS
    # The largest full GET that was answered.
    answered: int = 0
    # True if the last full GET was not answered, though one as large was before.
    in_doubt: bool = False
    # How many full GETs must be answered before more than `ceiling` is tried again, and
    # how many walks before larger pages are.
    wait: int = _FIRST_WAIT
    walks: int = 0
    # An instance that the agent has. It is added to other GETs, so that an empty answer
    # must be a refusal.
    anchor: str = SYS_UP_TIME
    # Values that the agent does not answer together with others: a view hides them, or
    # they are broken. They are left out until `try_refused`.
    refused: set[str] = set()

    def refuse(self, oid: str) -> None:
        if len(self.refused) < _MAX_REFUSED:
            self.refused.add(oid)

    def try_refused(self) -> None:
        """Lets refused values be requested again, because the view may have changed."""
        self.refused.clear()

    def get_failed(
        self, varbinds: int, is_silent: bool = False, is_lossy: bool = False
    ) -> None:
        """A GET of `varbinds` was too large: lowers the ceiling, and the size to what
        was answered before, or else to the half.

        `is_silent`: there was no answer. If one as large was answered before, or this
        one was small, or packets are lost (`is_lossy`), that may be loss: it counts
        when it happens twice in a row, and never of a small one behind a lossy line.
        """
        is_small = varbinds <= _ALWAYS_FIT
        if is_silent and is_small and is_lossy:
            return
        may_be_loss = is_lossy or is_small or self.answered >= varbinds
        if is_silent and may_be_loss and not self.in_doubt:
            self.in_doubt = True
            return
        self.in_doubt = False
        if self.answered >= varbinds:
            # The agent manages less than it did.
            self.answered = 0
        ceiling = (self.answered + varbinds) // 2 if self.answered else varbinds - 1
        self.ceiling = max(1, min(self.ceiling, ceiling))
        self.varbinds = max(1, min(self.varbinds, self.answered or varbinds // 2))
        self._wait_longer()

    def get_succeeded(self) -> None:
        """A full GET was answered: after some of these, a larger one is tried."""
        self.good += 1
        self.in_doubt = False
        self.answered = max(self.answered, self.varbinds)
        if self.varbinds < self.ceiling:
            if self.good >= 3:
                self.varbinds = min(self.ceiling, self.varbinds + 10)
                self.good = 0
        elif self.ceiling < MAX_VARBINDS and self.good >= self.wait:
            self.ceiling = min(MAX_VARBINDS, self.ceiling + 10)
            self.good = 0

    def page_rows(self, base: str) -> int:
        """How many rows of `base` to request in one page."""
        return min(self.repetitions, self.narrow.get(base, self.repetitions))

    def page_failed(self, base: str, rows: int) -> None:
        """A page of `rows` was too large. Other columns came in such pages: then only
        this column gets smaller ones. Otherwise all do."""
        if rows <= self.proved:
            self.narrow[base] = max(1, rows // 2)
        else:
            self.repetitions = max(1, rows // 2)
        self._wait_longer()

    def walk_succeeded(self, page_rows: int, rows: int) -> None:
        """A walk in pages of `page_rows` brought `rows`."""
        if rows >= page_rows:
            self.proved = max(self.proved, page_rows)
        self.walks += 1
        if self.walks >= self.wait and (
            self.narrow or self.repetitions < MAX_REPETITIONS
        ):
            self.repetitions = min(MAX_REPETITIONS, self.repetitions * 2)
            self.narrow.clear()
            self.walks = 0

    def _wait_longer(self) -> None:
        self.good = self.walks = 0
        self.wait = min(self.wait * 2, _LONGEST_WAIT)
