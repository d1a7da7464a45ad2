"""`towpath rtp --interface`: captures a mirrored port until stopped."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import structlog

from collectors.batch import batch_samples
from collectors.estate import Estate
from collectors.ip_networks import Network
from collectors.journal import Journal, JournalFailed, JournalTaken
from collectors.rtp.drop_privileges import drop_privileges
from collectors.rtp.live_capture import LiveCapture
from collectors.rtp.minute_groups import MinuteGroups, SubnetNames
from collectors.rtp.packet_ring import PacketRing
from collectors.rtp.sip_minutes import SipMinutes
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample
from towpath.journal_kind import JournalKind

if TYPE_CHECKING:
    from towpath.config import TowpathConfig

_log = structlog.get_logger()
# Without settings: as `groups.least`.
_LEAST = 10
# A full collection of garbage goes through all streams: 40 ms with 10,000, in which no
# packet is read. They are in no cycles, so it need not come often.
_YOUNGER_COLLECTIONS = 1_000
# Rows that wait while the journal cannot be written: about an hour of 200 pairs.
_MOST_WAITING = 12_000


class CaptureFailed(RuntimeError):
    """The capture cannot start. The text has the reason and a remedy."""


def capture_interface(
    interface: str,
    config: TowpathConfig | None,
    estate: Estate,
    gateways: Iterable[Network],
    with_sip: bool,
) -> None:
    """Captures until SIGTERM or SIGINT. Rows go to the journal of `config`, or without
    it as lines of JSON to the standard output. Raises `CaptureFailed`."""
    try:
        ring = PacketRing(interface, with_sip=with_sip)
    except PermissionError:
        raise CaptureFailed(
            f"capturing from {interface} needs the capability CAP_NET_RAW: start it as "
            "towpath-rtp@.service does, or as root"
        ) from None
    except (OSError, AttributeError) as error:
        raise CaptureFailed(f"cannot capture from {interface}: {error}") from error
    with ring:
        state = config.state if config is not None and config.state.exists() else None
        drop_privileges(state)
        least = config.groups.least if config is not None else _LEAST
        gc.set_threshold(*gc.get_threshold()[:2], _YOUNGER_COLLECTIONS)
        groups = MinuteGroups(SubnetNames(estate.sites, gateways), interface, least)
        sip = SipMinutes(interface, least) if with_sip else None
        asyncio.run(_capture(ring, groups, sip, interface, config))


async def _capture(
    ring: PacketRing,
    groups: MinuteGroups,
    sip: SipMinutes | None,
    interface: str,
    config: TowpathConfig | None,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if config is None:
        _log.info("rtp_capture_started", interface=interface)
        await LiveCapture(ring, groups, interface, _print_rows, sip=sip).run(stop)
        return
    try:
        kind = JournalKind(config.journal, config.nats, f"rtp-{interface}")
        async with kind.opened() as journal:
            rows = _JournalRows(journal, f"rtp/{interface}")
            _log.info("rtp_capture_started", interface=interface)
            await LiveCapture(ring, groups, interface, rows.append, sip=sip).run(stop)
    except (JournalTaken, ValueError) as error:
        raise CaptureFailed(f"rtp: {error}") from error


async def _print_rows(rows: list[Sample]) -> None:
    for row in rows:
        sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
    sys.stdout.flush()


class _JournalRows:
    """Appends rows; those that could not be written go with the next minute's."""

    def __init__(self, journal: Journal, source: str) -> None:
        self._journal, self._source = journal, source
        self._waiting: list[Sample] = []

    async def append(self, rows: list[Sample]) -> None:
        self._waiting = [*self._waiting, *rows][-_MOST_WAITING:]
        try:
            await self._journal.append(
                *batch_samples(self._waiting, self._source, wall_ms())
            )
        except JournalFailed as error:
            _log.error("rtp_rows_wait", rows=len(self._waiting), error=str(error))
        else:
            self._waiting = []
