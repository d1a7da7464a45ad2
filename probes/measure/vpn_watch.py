"""What became of a tunnel between two looks: reconnects, and the time to connect.

Pure but for the clock that is passed in. A sleep or a long gap between looks is not
judged: a tunnel that has to be built anew after a night is none that broke.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from probes.measure.tunnels import Tunnel

# Looks further apart than this do not show how long something took.
GAP_S = 45.0
HOUR_S = 3_600.0
# A person may have waited before connecting.
_NOT_LONGER_S = 180.0


class VpnWatch:
    """`look(…)` often; the rest says what was seen."""

    def __init__(self) -> None:
        self._looked_s: float | None = None
        self._since_s: float | None = None
        self._up: tuple[object, ...] | None = None
        self._was_up = self._had_line = self._had_client = False
        self._began_s: float | None = None
        self._breaks: deque[float] = deque(maxlen=1_000)
        self._connect_s: float | None = None

    def observe(self, found: Sequence[Tunnel], has_line: bool, now_s: float) -> None:
        """`found`: the tunnels as they are; `has_line`: a physical link is there;
        `now_s`: a clock that goes on in sleep."""
        gap_s = None if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        up = _identity(found)
        if gap_s is None or not 0 <= gap_s <= GAP_S:
            # The first look, or one after a sleep.
            self._up, self._was_up = up, up is not None
            self._had_line, self._had_client = has_line, bool(found)
            self._began_s = None
            self._since_s = now_s if gap_s is None else self._since_s
            return
        if up is not None and up != self._up:
            if self._was_up:
                self._breaks.append(now_s)
            if self._began_s is not None:
                took_s = now_s - self._began_s
                self._connect_s = took_s if took_s <= _NOT_LONGER_S else None
            self._began_s = None
        elif not has_line:
            self._began_s = None
        elif up is None and (
            not self._had_line
            or self._up is not None
            or (found and not self._had_client)
        ):
            # From here on it can connect: the line came back, the tunnel broke, or the
            # client made its interface.
            self._began_s = now_s
        self._was_up = self._was_up or up is not None
        self._had_line, self._had_client = has_line, bool(found)
        self._up = up

    def reconnects(self, now_s: float) -> int | None:
        """How often a tunnel that had been up came up anew in the last hour; None
        until it has been watched for ten minutes."""
        if self._since_s is None or now_s - self._since_s < 600:
            return None
        return sum(1 for at in self._breaks if now_s - at <= HOUR_S)

    def pop_connect_s(self) -> float | None:
        """How long the last connecting took, to the time between two looks; told
        once."""
        told, self._connect_s = self._connect_s, None
        return told


def _identity(found: Sequence[Tunnel]) -> tuple[object, ...] | None:
    """What changes when the tunnel that is up is made anew; None where none is."""
    up = next((each for each in found if each.state == "up"), None)
    if up is None:
        return None
    return up.product, up.interface, up.index, frozenset(up.addresses)
