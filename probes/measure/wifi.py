"""The Wi-Fi link: level, noise, rates, band, channel, retries, roams.

Looked at every few seconds where that is cheap (Linux, Windows), so that a weak moment
and a roam between two results are not lost; said once in its period. Access points are
told apart by a hash under a key that lives as long as this process; their names and
addresses are never kept.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable

from probes import platforms
from probes.measure.background import in_background
from probes.platforms.system_facts import WifiLink
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.report import Result
from probes.wire.sample import Value

NAME = "wifi"
VERSION = 1
# macOS tells through system_profiler, a second of the processor each time.
CAN_OBSERVE_OFTEN = sys.platform != "darwin"
# Fewer packets than this say nothing of retries.
_PACKETS = 50


class Wifi:
    """`await look()` now and then, `await measure(…)` once in the period."""

    def __init__(
        self, ask: Callable[[bytes], list[WifiLink] | Outcome] = platforms.wifi
    ) -> None:
        self._ask, self._key = ask, secrets.token_bytes(16)
        self._cell = ""
        self._roams = 0
        self._weakest_dbm: int | None = None
        self._counted: WifiLink | None = None
        # Without hardware or consent there is nothing to see between two results.
        self.can_observe_often = CAN_OBSERVE_OFTEN

    async def observe(self) -> list[WifiLink] | Outcome:
        """Sees the link and remembers what the next result needs of it."""
        found = await in_background(self._ask, self._key)
        self.can_observe_often = CAN_OBSERVE_OFTEN and isinstance(found, list)
        link = connected_link(found)
        if link is None:
            self._cell = ""
            return found
        if link.cell and self._cell and link.cell != self._cell:
            self._roams += 1
        self._cell = link.cell or self._cell
        if link.signal_dbm is not None:
            self._weakest_dbm = min(link.signal_dbm, self._weakest_dbm or 0)
        return found

    async def measure(self, *, now_ms: WallClock) -> Result:
        """`not_present` without hardware, `switched_off`, `not_connected`, and
        `not_permitted` if the system wants consent that nobody gave."""
        time_ms = now_ms()
        found = await self.observe()
        link = connected_link(found)
        if link is None:
            outcome = (
                found if isinstance(found, Outcome) else not_connected_outcome(found)
            )
            self._counted = None
            self._weakest_dbm, self._roams = None, 0
            return Result(NAME, VERSION, time_ms, outcome)
        values = link_values(link)
        if self._weakest_dbm is not None:
            values["signal_min_dbm"] = self._weakest_dbm
        if link.cell:
            values["roams"] = self._roams
        ratio = retry_ratio(self._counted, link)
        if ratio is not None:
            values["retry_ratio"] = ratio
        self._counted = link
        self._weakest_dbm, self._roams = None, 0
        return Result(NAME, VERSION, time_ms, Outcome.OK, values=values)


def connected_link(found: list[WifiLink] | Outcome) -> WifiLink | None:
    """The link that is connected, the first of several. Pure."""
    links = found if isinstance(found, list) else []
    return next((each for each in links if each.connected), None)


def not_connected_outcome(links: list[WifiLink]) -> Outcome:
    """Why none of `links` is connected. Pure."""
    off = bool(links) and all(each.radio_off for each in links)
    return Outcome.SWITCHED_OFF if off else Outcome.NOT_CONNECTED


def link_values(link: WifiLink) -> dict[str, Value]:
    """What a link says, by the catalogue's names. Pure."""
    values: dict[str, Value] = {}
    if link.signal_dbm is not None:
        values["signal_dbm"] = link.signal_dbm
        values["signal_derived"] = int(link.signal_derived)
        if link.noise_dbm is not None:
            values["snr_db"] = link.signal_dbm - link.noise_dbm
    for name in (
        "noise_dbm",
        "quality_ratio",
        "rx_bps",
        "tx_bps",
        "band_ghz",
        "channel",
        "width_mhz",
    ):
        value = getattr(link, name)
        if value is not None:
            values[name] = value
    if link.standard:
        values["standard"] = link.standard
    return values


def retry_ratio(before: WifiLink | None, now: WifiLink) -> float | None:
    """Retries for each packet sent since `before`, None where that is not known: the
    counters begin anew with each association. Pure."""
    if before is None or before.cell != now.cell:
        return None
    counted = before.tx_packets, before.tx_retries, now.tx_packets, now.tx_retries
    if any(each is None for each in counted):
        return None
    packets = (now.tx_packets or 0) - (before.tx_packets or 0)
    retries = (now.tx_retries or 0) - (before.tx_retries or 0)
    if packets < _PACKETS or retries < 0:
        return None
    return retries / (packets + retries)
