"""The client side of ndt7: a download, an upload, and round trips of other connections
in the meantime."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
)
from websockets.typing import Subprotocol

from probes.measure.connect_times import connect_time_ms
from probes.wire import ndt7
from probes.wire.failure import Outcome
from probes.wire.percentiles import median
from probes.wire.retry_after import retry_after_s
from probes.wire.socket_errors import outcome_of
from probes.wire.tcp_info import TcpInfo, keep_little_waiting, tcp_info

_LONGEST_WAIT_S = 86_400
_FINAL_MEASUREMENT_S = 1.0
_RAMP_S = 1.0
_ROUND_TRIP_EVERY_S = 0.25


class Transferred(NamedTuple):
    """The result of one direction. `bps` is None without a measurement. `limited`:
    our budget or the reflector's cap held it back. `octets` counts both ways.
    `retransmitted` is the share of octets sent again, if known. `retry_after_s` is
    when to try a busy server again, 0 if it did not give a time."""

    outcome: Outcome
    bps: float | None = None
    limited: bool = False
    octets: int = 0
    rtt_loaded_ms: float | None = None
    retransmitted: float | None = None
    retry_after_s: int = 0


async def download(
    base: str, tls: ssl.SSLContext | None, seconds: float, most_bytes: int
) -> Transferred:
    """Receives what the server sends for `seconds`, `most_bytes` at most."""
    # Servers that support the limit stop by themselves; the others are cut off.
    url = ndt7.url_of(base, ndt7.DOWNLOAD, {ndt7.MOST_BYTES_KEY: str(most_bytes)})
    try:
        async with _connected(url, tls) as link, _loaded(link) as loaded:
            measurements: list[ndt7.Measured] = []
            meter = Meter(link)
            octets, took_s, full, outcome = await _receive(
                link, seconds, most_bytes, measurements
            )
            bps = 8 * octets / took_s if octets and took_s > 0 else None
            retransmitted = [
                measured.retransmitted
                for measured in measurements
                if measured.retransmitted is not None
            ]
            return Transferred(
                outcome,
                bps,
                limited=full or _capped(link, bps),
                octets=meter.cost(octets),
                rtt_loaded_ms=_median_ms(loaded),
                retransmitted=retransmitted[-1] if retransmitted else None,
            )
    except _Unusable as error:
        return Transferred(error.outcome, retry_after_s=error.retry_after_s)


async def upload(
    base: str, tls: ssl.SSLContext | None, seconds: float, most_bytes: int
) -> Transferred:
    """Sends for `seconds`, `most_bytes` at most. The rate is the one that the server
    received, never what was written here."""
    url = ndt7.url_of(base, ndt7.UPLOAD)
    try:
        async with _connected(url, tls) as link, _loaded(link) as loaded:
            measurements: list[ndt7.Measured] = []
            meter = Meter(link)
            reader = asyncio.create_task(
                _collect_measurements(link, measurements), name="ndt7-measurements"
            )
            try:
                octets, took_s, full, outcome = await send_noise(
                    link, seconds, most_bytes, meter
                )
                await asyncio.wait({reader}, timeout=_FINAL_MEASUREMENT_S)
            finally:
                reader.cancel()
                await asyncio.wait({reader})
            bps = _received_bps(measurements, took_s, full)
            if bps is None and outcome is Outcome.OK:
                outcome = Outcome.BAD_ANSWER
            return Transferred(
                outcome,
                bps,
                limited=full or _capped(link, bps),
                octets=meter.cost(octets),
                rtt_loaded_ms=_median_ms(loaded),
                retransmitted=meter.retransmitted,
            )
    except _Unusable as error:
        return Transferred(error.outcome, retry_after_s=error.retry_after_s)


class _Unusable(Exception):
    """The server cannot be used for a test; `outcome` is the reason."""

    def __init__(self, outcome: Outcome, retry_after_s: int = 0) -> None:
        super().__init__(outcome.value)
        self.outcome, self.retry_after_s = outcome, retry_after_s


@contextlib.asynccontextmanager
async def _connected(
    url: str, tls: ssl.SSLContext | None
) -> AsyncIterator[ClientConnection]:
    """Connects, and aborts the connection at the end, to save the data in flight."""
    try:
        link = await connect(
            url,
            ssl=tls if url.startswith("wss:") else None,
            subprotocols=[Subprotocol(ndt7.SUBPROTOCOL)],
            compression=None,
            open_timeout=ndt7.HANDSHAKE_S,
            ping_interval=None,
            max_size=ndt7.LARGEST_TAKEN,
            max_queue=1,
            write_limit=ndt7.WAITING_BYTES,
            proxy=None,
        )
    except InvalidStatus as refused:
        response = refused.response
        wait_s = retry_after_s(response.headers.get("Retry-After"), time.time())
        raise _Unusable(
            _status_outcome(response.status_code),
            min(int(wait_s or 0), _LONGEST_WAIT_S),
        ) from None
    except (InvalidHandshake, InvalidURI):
        raise _Unusable(Outcome.BAD_ANSWER) from None
    except (OSError, EOFError) as error:
        raise _Unusable(outcome_of(error)) from None
    try:
        if link.subprotocol != ndt7.SUBPROTOCOL:
            raise _Unusable(Outcome.BAD_ANSWER)
        yield link
    finally:
        link.transport.abort()
        await link.wait_closed()


def _status_outcome(status: int) -> Outcome:
    if status in (429, 503):
        return Outcome.BUSY
    return Outcome.AUTH_FAILED if status in (401, 403) else Outcome.BAD_ANSWER


async def _receive(
    link: ClientConnection,
    seconds: float,
    most_bytes: int,
    measurements: list[ndt7.Measured],
) -> tuple[int, float, bool, Outcome]:
    started_s = last_s = time.perf_counter()
    octets, outcome = 0, Outcome.OK
    try:
        async with asyncio.timeout(seconds + ndt7.MOST_SECONDS - ndt7.SECONDS):
            while octets < most_bytes:
                message = await link.recv()
                last_s = time.perf_counter()
                octets += len(message)
                if isinstance(message, str):
                    measured = ndt7.read_measurement(message)
                    if measured is not None:
                        measurements.append(measured)
    except ConnectionClosedOK:
        pass
    except ConnectionClosed:
        # An abrupt end is normal late in the test, but not early.
        if last_s - started_s < seconds / 2:
            outcome = Outcome.RESET
    except TimeoutError:
        last_s = time.perf_counter()
    if octets == 0 and outcome is Outcome.OK:
        outcome = Outcome.TIMEOUT
    took_s = last_s - started_s
    # The server stops before the message that would exceed the limit: an eighth at
    # most.
    full = octets * 9 / 8 + ndt7.FIRST_MESSAGE >= most_bytes and took_s < 0.98 * seconds
    return octets, took_s, full, outcome


async def send_noise(
    link: ClientConnection, seconds: float, most_bytes: int, meter: Meter
) -> tuple[int, float, bool, Outcome]:
    """Sends noise for `seconds`, `most_bytes` at most. Returns (octets, seconds it
    took, whether the budget ended it, outcome)."""
    noise = os.urandom(ndt7.LARGEST_SENT)
    channel, before = link.transport.get_extra_info("socket"), 0
    started_s = time.perf_counter()
    octets, full, outcome = 0, False, Outcome.OK
    try:
        async with asyncio.timeout(seconds):
            for size in ndt7.message_sizes():
                # Retransmissions count against the budget too.
                if meter.cost(octets) + size > most_bytes:
                    full = True
                    break
                if size > before:
                    before = size
                    keep_little_waiting(channel, max(ndt7.WAITING_BYTES, size))
                await link.send(noise[:size])
                octets += size
                # If the peer reads everything at once `send` never yields to the loop,
                # and the timeout would never fire.
                await asyncio.sleep(0)
    except TimeoutError:
        pass
    except ConnectionClosed:
        if time.perf_counter() - started_s < seconds / 2:
            outcome = Outcome.RESET
    took_s = time.perf_counter() - started_s
    # Our own measurement; our reflector answers with its own at once.
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(_FINAL_MEASUREMENT_S):
            measured = ndt7.measurement("upload", octets, round(took_s * 1e6), "client")
            await link.send(measured)
    return octets, took_s, full, outcome


async def _collect_measurements(
    link: ClientConnection, measurements: list[ndt7.Measured]
) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            measured = ndt7.read_measurement(await link.recv())
            if measured is not None:
                measurements.append(measured)


def _received_bps(
    measurements: list[ndt7.Measured], took_s: float, full: bool
) -> float | None:
    """The rate in the server's last measurement, as the specification requires. If our
    budget ended the upload early, the server's clock runs on without data. Then the
    better of its last measurement before that and its first after it counts."""
    usable = [
        measured for measured in measurements if measured.received_bps() is not None
    ]
    if full:
        after = [measured for measured in usable if measured.elapsed_us > took_s * 1e6]
        usable = [measured for measured in usable if measured not in after][-1:]
        usable += after[:1]
        return max(
            (measured.received_bps() or 0.0 for measured in usable), default=None
        )
    return usable[-1].received_bps() if usable else None


def _capped(link: ClientConnection, bps: float | None) -> bool:
    cap = link.response.headers.get(ndt7.CAP_HEADER, "") if link.response else ""
    if bps is None or not cap.isdecimal() or len(cap) > 15:
        return False
    return 0 < int(cap) * 0.9 <= bps


class Meter:
    """Counts the octets of a connection with the kernel's figures, if it has any."""

    def __init__(self, link: ClientConnection) -> None:
        self._channel = link.transport.get_extra_info("socket")
        self._last: TcpInfo | None = None

    def cost(self, octets: int) -> int:
        """Octets both ways so far, after a transfer of `octets`."""
        if self._channel is not None:
            self._last = tcp_info(self._channel) or self._last
        if self._last is None:
            # Frames, TLS records and TCP/IP headers: about 3 %.
            return round(octets * 1.03)
        return max(self._last.bytes_received + self._last.bytes_sent, octets)

    @property
    def retransmitted(self) -> float | None:
        """The share of sent octets that were retransmissions."""
        if self._last is None or not self._last.bytes_sent:
            return None
        return self._last.bytes_retransmitted / self._last.bytes_sent


@contextlib.asynccontextmanager
async def _loaded(link: ClientConnection) -> AsyncIterator[list[float]]:
    """Measures round trips of new connections to the same address during the test, to
    see what the load does to other traffic."""
    rtts: list[float] = []
    channel = link.transport.get_extra_info("socket")
    family, address = channel.family, link.remote_address

    async def measure() -> None:
        await asyncio.sleep(_RAMP_S)
        while True:
            with contextlib.suppress(OSError):
                rtts.append(await connect_time_ms(family, address))
            await asyncio.sleep(_ROUND_TRIP_EVERY_S)

    measuring = asyncio.create_task(measure(), name="ndt7-loaded")
    try:
        yield rtts
    finally:
        measuring.cancel()
        await asyncio.wait({measuring})


def _median_ms(rtts: list[float]) -> float | None:
    return median(rtts) if rtts else None
