"""Watches a tunnel between observations: reconnects, and the time to connect.

Pure; the caller passes the time. A long gap between observations, such as a sleep, is
not judged: a tunnel that has to be rebuilt after a night did not break.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from probes.measure.tunnels import Tunnel

# Observations further apart than this do not show how long connecting took.
GAP_S = 45.0
HOUR_S = 3_600.0
# A person may have waited before connecting.
_NOT_LONGER_S = 180.0


class VpnWatch:
    """Call `observe(…)` often; the other methods return what was observed."""

    def __init__(self) -> None:
        self._observed_s: float | None = None
        self._since_s: float | None = None
        self._up: tuple[object, ...] | None = None
        self._was_up = self._had_line = self._had_client = False
        self._connecting_since_s: float | None = None
        self._breaks: deque[float] = deque(maxlen=1_000)
        self._connect_s: float | None = None

    def observe(self, clients: Sequence[Tunnel], has_line: bool, now_s: float) -> None:
        """Records the tunnels as they are now. `has_line`: there is a physical link.
        `now_s` is from a clock that goes on during sleep."""
        gap_s = None if self._observed_s is None else now_s - self._observed_s
        self._observed_s = now_s
        up = _identity(clients)
        if gap_s is None or not 0 <= gap_s <= GAP_S:
            # The first observation, or the first after a sleep.
            self._up, self._was_up = up, up is not None
            self._had_line, self._had_client = has_line, bool(clients)
            self._connecting_since_s = None
            self._since_s = now_s if gap_s is None else self._since_s
            return
        if up is not None and up != self._up:
            if self._was_up:
                self._breaks.append(now_s)
            if self._connecting_since_s is not None:
                took_s = now_s - self._connecting_since_s
                self._connect_s = took_s if took_s <= _NOT_LONGER_S else None
            self._connecting_since_s = None
        elif not has_line:
            self._connecting_since_s = None
        elif up is None and (
            not self._had_line
            or self._up is not None
            or (clients and not self._had_client)
        ):
            # The tunnel can connect from now on: the line came back, the tunnel broke,
            # or the client created its interface.
            self._connecting_since_s = now_s
        self._was_up = self._was_up or up is not None
        self._had_line, self._had_client = has_line, bool(clients)
        self._up = up

    def reconnects(self, now_s: float) -> int | None:
        """How often the tunnel reconnected in the last hour; None during the first ten
        minutes."""
        if self._since_s is None or now_s - self._since_s < 600:
            return None
        return sum(1 for at in self._breaks if now_s - at <= HOUR_S)

    def pop_connect_s(self) -> float | None:
        """Returns how long the last connect took, as exact as the time between two
        observations. Returns it once, then None."""
        connect_s, self._connect_s = self._connect_s, None
        return connect_s


def _identity(clients: Sequence[Tunnel]) -> tuple[object, ...] | None:
    """A value that changes if the tunnel is rebuilt; None if no tunnel is up."""
    up = next((client for client in clients if client.state == "up"), None)
    if up is None:
        return None
    return up.product, up.interface, up.index, frozenset(up.addresses)
