"""The client's side of one ndt7 subtest: a download, an upload, and the round trips
of others meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import statistics
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

from probes.wire import ndt7
from probes.wire.failure import Outcome
from probes.wire.socket_errors import outcome_of
from probes.wire.tcp_info import TcpInfo, keep_little_waiting, tcp_info

_LAST_WORD_S = 1.0
_CONNECT_S = 2.0
_RAMP_S = 1.0
_ASK_EVERY_S = 0.25


class Transferred(NamedTuple):
    """One direction's end. `bps` None: nothing to go by. `limited`: our own budget or
    the reflector's cap held it back. `octets` both ways, what it cost. `retransmitted`:
    the share of octets that was sent again, where known. `retry_after_s`: when a busy
    server wants to be asked again, 0 where it does not say."""

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
    """Takes what the far end sends for `seconds`, `most_bytes` at most."""
    # Servers that know the wish stop of themselves; others are cut off.
    url = ndt7.url_of(base, ndt7.DOWNLOAD, {ndt7.MOST_BYTES_KEY: str(most_bytes)})
    try:
        async with _connected(url, tls) as link, _loaded(link) as loaded:
            heard: list[ndt7.Measured] = []
            meter = Meter(link)
            octets, took_s, full, outcome = await _take(
                link, seconds, most_bytes, heard
            )
            bps = 8 * octets / took_s if octets and took_s > 0 else None
            again = [m.retransmitted for m in heard if m.retransmitted is not None]
            return Transferred(
                outcome,
                bps,
                limited=full or _capped(link, bps),
                octets=meter.cost(octets),
                rtt_loaded_ms=_median_ms(loaded),
                retransmitted=again[-1] if again else None,
            )
    except _Unusable as why:
        return Transferred(why.outcome, retry_after_s=why.retry_after_s)


async def upload(
    base: str, tls: ssl.SSLContext | None, seconds: float, most_bytes: int
) -> Transferred:
    """Sends for `seconds`, `most_bytes` at most. The rate is what the far end says
    it received, never what was written here."""
    url = ndt7.url_of(base, ndt7.UPLOAD)
    try:
        async with _connected(url, tls) as link, _loaded(link) as loaded:
            heard: list[ndt7.Measured] = []
            meter = Meter(link)
            listener = asyncio.create_task(_hear(link, heard), name="ndt7-hear")
            try:
                octets, took_s, full, outcome = await send_noise(
                    link, seconds, most_bytes, meter
                )
                await asyncio.wait({listener}, timeout=_LAST_WORD_S)
            finally:
                listener.cancel()
                await asyncio.wait({listener})
            bps = _received_bps(heard, took_s, full)
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
    except _Unusable as why:
        return Transferred(why.outcome, retry_after_s=why.retry_after_s)


async def round_trips(host: str, port: int, times: int) -> list[float]:
    """Times in ms to open a TCP connection there; `OSError` where none opened."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ndt7.HANDSHAKE_S):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    error: OSError = TimeoutError("no address")
    for family, _type, _protocol, _name, address in found:
        rtts = []
        for _ in range(times):
            try:
                rtts.append(await _round_trip(family, address))
            except OSError as failed:
                error = failed
                if not rtts:
                    break
            await asyncio.sleep(0.05)
        if rtts:
            return rtts
    raise error


class _Unusable(Exception):
    def __init__(self, outcome: Outcome, retry_after_s: int = 0) -> None:
        super().__init__(outcome.value)
        self.outcome, self.retry_after_s = outcome, retry_after_s


@contextlib.asynccontextmanager
async def _connected(
    url: str, tls: ssl.SSLContext | None
) -> AsyncIterator[ClientConnection]:
    """A connection that is cut off at the end: what is still under way only costs."""
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
        said = refused.response
        raise _Unusable(
            _of_status(said.status_code),
            ndt7.retry_after_s(said.headers.get("Retry-After", "")),
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


def _of_status(status: int) -> Outcome:
    if status in (429, 503):
        return Outcome.BUSY
    return Outcome.AUTH_FAILED if status in (401, 403) else Outcome.BAD_ANSWER


async def _take(
    link: ClientConnection, seconds: float, most_bytes: int, heard: list[ndt7.Measured]
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
                    said = ndt7.read_measurement(message)
                    if said is not None:
                        heard.append(said)
    except ConnectionClosedOK:
        pass
    except ConnectionClosed:
        # An abrupt end late in the test is usual, an early one is not.
        if last_s - started_s < seconds / 2:
            outcome = Outcome.RESET
    except TimeoutError:
        last_s = time.perf_counter()
    if octets == 0 and outcome is Outcome.OK:
        outcome = Outcome.TIMEOUT
    took_s = last_s - started_s
    # The far end stops before the message that would be too much: an eighth at most.
    full = octets * 9 / 8 + ndt7.FIRST_MESSAGE >= most_bytes and took_s < 0.98 * seconds
    return octets, took_s, full, outcome


async def send_noise(
    link: ClientConnection, seconds: float, most_bytes: int, meter: Meter
) -> tuple[int, float, bool, Outcome]:
    """Sends noise for `seconds`, `most_bytes` at most: (octets, seconds it took,
    whether the budget ended it, outcome)."""
    noise = os.urandom(ndt7.LARGEST_SENT)
    channel, before = link.transport.get_extra_info("socket"), 0
    started_s = time.perf_counter()
    octets, full, outcome = 0, False, Outcome.OK
    try:
        async with asyncio.timeout(seconds):
            for size in ndt7.message_sizes():
                # What was lost on the way and sent again costs too.
                if meter.cost(octets) + size > most_bytes:
                    full = True
                    break
                if size > before:
                    before = size
                    keep_little_waiting(channel, max(ndt7.WAITING_BYTES, size))
                await link.send(noise[:size])
                octets += size
                # To who takes all at once `send` never waits, and the clock with it.
                await asyncio.sleep(0)
    except TimeoutError:
        pass
    except ConnectionClosed:
        if time.perf_counter() - started_s < seconds / 2:
            outcome = Outcome.RESET
    took_s = time.perf_counter() - started_s
    # Our own word on it; our reflector answers with its own at once.
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(_LAST_WORD_S):
            said = ndt7.measurement("upload", octets, round(took_s * 1e6), "client")
            await link.send(said)
    return octets, took_s, full, outcome


async def _hear(link: ClientConnection, heard: list[ndt7.Measured]) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            said = ndt7.read_measurement(await link.recv())
            if said is not None:
                heard.append(said)


def _received_bps(
    heard: list[ndt7.Measured], took_s: float, full: bool
) -> float | None:
    """The far end's last word on the rate, as the specification has it. Where our
    budget ended an upload early the far end's clock runs on without us: then the
    better of its last word before and its first after counts."""
    spoken = [each for each in heard if each.received_bps() is not None]
    if full:
        after = [each for each in spoken if each.elapsed_us > took_s * 1e6]
        spoken = [each for each in spoken if each not in after][-1:] + after[:1]
        return max((each.received_bps() or 0.0 for each in spoken), default=None)
    return spoken[-1].received_bps() if spoken else None


def _capped(link: ClientConnection, bps: float | None) -> bool:
    said = link.response.headers.get(ndt7.CAP_HEADER, "") if link.response else ""
    if bps is None or not said.isdecimal() or len(said) > 15:
        return False
    return 0 < int(said) * 0.9 <= bps


class Meter:
    """What the kernel tells of a connection, as long as it does."""

    def __init__(self, link: ClientConnection) -> None:
        self._channel = link.transport.get_extra_info("socket")
        self._last: TcpInfo | None = None

    def cost(self, octets: int) -> int:
        """Octets both ways so far, where `octets` were moved."""
        if self._channel is not None:
            self._last = tcp_info(self._channel) or self._last
        if self._last is None:
            # Frames, TLS records and TCP/IP headers: about 3 %.
            return round(octets * 1.03)
        return max(self._last.bytes_received + self._last.bytes_sent, octets)

    @property
    def retransmitted(self) -> float | None:
        """The share of what was sent that was sent again."""
        if self._last is None or not self._last.bytes_sent:
            return None
        return self._last.bytes_retransmitted / self._last.bytes_sent


@contextlib.asynccontextmanager
async def _loaded(link: ClientConnection) -> AsyncIterator[list[float]]:
    """Round trips of new connections to the same address while the test runs: what
    the load does to everybody else."""
    rtts: list[float] = []
    channel = link.transport.get_extra_info("socket")
    family, address = channel.family, link.remote_address

    async def ask() -> None:
        await asyncio.sleep(_RAMP_S)
        while True:
            with contextlib.suppress(OSError):
                rtts.append(await _round_trip(family, address))
            await asyncio.sleep(_ASK_EVERY_S)

    asking = asyncio.create_task(ask(), name="ndt7-loaded")
    try:
        yield rtts
    finally:
        asking.cancel()
        await asyncio.wait({asking})


async def _round_trip(
    family: socket.AddressFamily, address: tuple[object, ...]
) -> float:
    with socket.socket(family, socket.SOCK_STREAM) as channel:
        channel.setblocking(False)
        started_s = time.perf_counter()
        async with asyncio.timeout(_CONNECT_S):
            await asyncio.get_running_loop().sock_connect(channel, address)
        elapsed_ms = (time.perf_counter() - started_s) * 1e3
        # The kernel's own figure has no part of this program's in it.
        told = tcp_info(channel)
        return told.rtt_us / 1e3 if told is not None and told.rtt_us else elapsed_ms


def _median_ms(rtts: list[float]) -> float | None:
    return statistics.median(rtts) if rtts else None
