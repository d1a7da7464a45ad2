"""The Wi-Fi link: signal, noise, rates, band, channel, retries, roams.

On Linux and Windows, where it is cheap, the link is read every few seconds, so that no
weak moment or roam between two results is missed. Access points are distinguished by a
hash with a key that lives as long as this process; their names and addresses are never
kept.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator, Callable

from probes import platforms
from probes.measure.background import in_background
from probes.measure.probe_runner import ProbeRunner, RoundContext
from probes.platforms.system_facts import WifiLink
from probes.wire.clock import WallClock
from probes.wire.failure import Outcome
from probes.wire.laptop_probes import WIFI
from probes.wire.report import Result
from probes.wire.sample import Value

NAME = WIFI.name
VERSION = 1
# On macOS each reading takes a second of processor time (system_profiler).
CAN_OBSERVE_OFTEN = sys.platform != "darwin"
# With fewer packets the retry ratio is too random to use.
_LEAST_PACKETS = 50


class Wifi:
    """Call `await observe()` often, and `await measure(…)` once per period."""

    def __init__(
        self, read_links: Callable[[bytes], list[WifiLink] | Outcome] = platforms.wifi
    ) -> None:
        self._read_links, self._key = read_links, secrets.token_bytes(16)
        self._cell = ""
        self._roams = 0
        self._weakest_dbm: int | None = None
        self._previous: WifiLink | None = None
        # Without hardware or consent there is nothing to observe between two results.
        self.can_observe_often = CAN_OBSERVE_OFTEN

    async def observe(self) -> list[WifiLink] | Outcome:
        """Reads the link and records what the next result needs."""
        links = await in_background(self._read_links, self._key)
        self.can_observe_often = CAN_OBSERVE_OFTEN and isinstance(links, list)
        link = connected_link(links)
        if link is None:
            self._cell = ""
            return links
        if link.cell and self._cell and link.cell != self._cell:
            self._roams += 1
        self._cell = link.cell or self._cell
        if link.signal_dbm is not None:
            self._weakest_dbm = min(link.signal_dbm, self._weakest_dbm or 0)
        return links

    async def measure(self, *, now_ms: WallClock) -> Result:
        """The outcome is `not_present` without hardware, `switched_off`,
        `not_connected`, or `not_permitted` if the system needs a consent that the
        person has not given."""
        time_ms = now_ms()
        links = await self.observe()
        link = connected_link(links)
        if link is None:
            outcome = (
                links if isinstance(links, Outcome) else not_connected_outcome(links)
            )
            self._previous = None
            self._weakest_dbm, self._roams = None, 0
            return Result(NAME, VERSION, time_ms, outcome)
        values = link_values(link)
        if self._weakest_dbm is not None:
            values["signal_min_dbm"] = self._weakest_dbm
        if link.cell:
            values["roams"] = self._roams
        ratio = retry_ratio(self._previous, link)
        if ratio is not None:
            values["retry_ratio"] = ratio
        self._previous = link
        self._weakest_dbm, self._roams = None, 0
        return Result(NAME, VERSION, time_ms, Outcome.OK, values=values)


def connected_link(links: list[WifiLink] | Outcome) -> WifiLink | None:
    """The first link that is connected. Pure."""
    if isinstance(links, Outcome):
        return None
    return next((link for link in links if link.connected), None)


def not_connected_outcome(links: list[WifiLink]) -> Outcome:
    """The reason why none of `links` is connected. Pure."""
    off = bool(links) and all(link.radio_off for link in links)
    return Outcome.SWITCHED_OFF if off else Outcome.NOT_CONNECTED


def link_values(link: WifiLink) -> dict[str, Value]:
    """The figures of a link under the catalogue's field names. Pure."""
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
    """The share of packets sent since `before` that were retries. None if not known:
    the counters restart with each association. Pure."""
    if before is None or before.cell != now.cell:
        return None
    counters = before.tx_packets, before.tx_retries, now.tx_packets, now.tx_retries
    if None in counters:
        return None
    packets = (now.tx_packets or 0) - (before.tx_packets or 0)
    retries = (now.tx_retries or 0) - (before.tx_retries or 0)
    if packets < _LEAST_PACKETS or retries < 0:
        return None
    return retries / (packets + retries)


class WifiRunner(ProbeRunner):
    """Looks at the link often, so that a weak moment between two results counts."""

    def __init__(self, wifi: Wifi | None = None) -> None:
        self._wifi = wifi or Wifi()

    async def run(self, context: RoundContext) -> AsyncIterator[Result]:
        yield await self._wifi.measure(now_ms=context.now_ms)

    async def glance(self) -> None:
        if self._wifi.can_observe_often:
            await self._wifi.observe()
