"""`TrapReceiver`: receives traps and informs, writes `event` rows, triggers polls."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Protocol, Self

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.estate.estate_model import Device, Estate
from collectors.failure_log import FailureLog
from collectors.journal import Append
from collectors.snmp.session.credentials import Credential
from collectors.snmp.traps.local_engine import LocalEngine
from collectors.snmp.traps.refused_senders import RefusedSenders
from collectors.snmp.traps.repoll import Repolls
from collectors.snmp.traps.storm_counts import EventRow, StormCounts, to_batch
from collectors.snmp.traps.trap_catalog import load
from collectors.snmp.traps.trap_events import TrapEvent, TrapReader
from collectors.snmp.traps.trap_senders import REASONS, AcceptedTrap, TrapSenders
from collectors.snmp.traps.trap_socket import Datagram, TrapSocket
from collectors.snmp.traps.traps_config import TrapsConfig
from collectors.snmp.traps.usm import TrapRefused
from probes.wire.clock import WallClock, wall_ms
from probes.wire.sample import Sample

_log = structlog.get_logger()
_TICK_S, _IDLE_S = 0.1, 10.0
_SWEEP_S = 10.0
_SAVE_S = 60.0
_REOPEN_S = 30.0
_ROWS_AT_ONCE = 2_000
_MAX_INFORMS = 20_000
_INFORM_KEPT_S = 300.0
_STOP_S = 3.0


class DevicePorts(Protocol):
    """What the receiver needs of the poller."""

    def poll_soon(self, device: str, health: bool = False) -> bool: ...

    def port_name(self, device: str, if_index: int) -> str | None: ...

    def port_description(self, device: str, port: str) -> str: ...


class TrapStats(msgspec.Struct):
    """Counters since the start.

    Every datagram counts as one of `accepted`, `withheld`, `repeated` (a repeated
    inform), `discoveries` or `refused`. `incomplete` counts accepted notifications with
    variables that could not be read.
    """

    accepted: int = 0
    incomplete: int = 0
    withheld: int = 0
    repeated: int = 0
    discoveries: int = 0
    rows: int = 0
    counted: int = 0
    answered: int = 0
    failures: int = 0
    refused: dict[str, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(REASONS, 0)
    )


class _Inform(msgspec.Struct):
    """When an inform was received, and whether it was answered."""

    received_s: float
    answered: bool = False


class _PendingAnswer(msgspec.Struct):
    """An inform that is to be answered."""

    accepted: AcceptedTrap
    to: Any
    inform: _Inform


_InformKey = tuple[str, int, int, int | None, str]


class TrapReceiver:
    """`async with TrapReceiver(…)` receives until it exits.

    If its port is not available (no permission, or in use), it logs that and tries
    again every half minute. Polling goes on without traps.
    """

    def __init__(
        self,
        config: TrapsConfig,
        estate: Callable[[], Estate],
        credentials: Iterable[Credential],
        append: Append,
        ports: DevicePorts,
        process: str = "poll",
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._config, self._append, self._ports = config, append, ports
        self._process, self._now_ms = process, now_ms
        self._engine = LocalEngine(
            config.state_file, config.engine_id, time.monotonic(), now_ms() / 1000
        )
        self._senders = TrapSenders(config, estate, credentials, self._engine)
        self._reader = TrapReader(load(config.catalog))
        self._storm_counts = StormCounts(config.quiet_s)
        self._repolls = Repolls(ports.poll_soon)
        self._refused_senders = RefusedSenders()
        self._informs: OrderedDict[_InformKey, _Inform] = OrderedDict()
        self._work = asyncio.Event()
        self.inbox = TrapSocket(
            config.host, config.port, config.receive_bytes, self._work.set
        )
        self.stats = TrapStats()
        self._failures = FailureLog("traps_not_stored", "traps_stored_again")
        self._stopping = False
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        # Written before anything is received, because boots must never repeat.
        self._engine.write_state(self._encode_state())
        self._open()
        self._tasks.start(self._run(), "traps")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        self._work.set()
        # Write what was received, but do not wait for a journal that refuses it.
        await self._tasks.stop(wait_s=_STOP_S)
        self._repolls.close()
        self.inbox.close()
        self._engine.write_state(self._encode_state())

    def samples(self, now_ms: int) -> list[Sample]:
        """Return one row of `self_traps`, counted since the start."""
        stats, refused = self.stats, self.stats.refused
        authentic = ("unknown_source", "wrong_community", "malformed", "not_a_trap")
        return [
            Sample(
                "self_traps",
                {"process": self._process},
                {
                    "listening": int(self.inbox.is_open),
                    "received": self.inbox.received,
                    "accepted": stats.accepted,
                    "incomplete": stats.incomplete,
                    "rows": stats.rows,
                    "withheld": stats.withheld,
                    "repeated": stats.repeated + refused["repeated"],
                    "unknown_source": refused["unknown_source"],
                    "wrong_community": refused["wrong_community"],
                    "malformed": refused["malformed"] + refused["not_a_trap"],
                    "not_authentic": sum(
                        n
                        for reason, n in refused.items()
                        if reason not in (*authentic, "repeated")
                    ),
                    "lost": self.inbox.lost,
                    "answered": stats.answered,
                    "waiting": self._storm_counts.waiting,
                    "failures": stats.failures,
                },
                now_ms,
            )
        ]

    def _open(self) -> None:
        try:
            self.inbox.open()
        except OSError as error:
            _log.error(
                "traps_not_listening",
                error=str(error),
                hint="ports below 1024 need CAP_NET_BIND_SERVICE (deploy/systemd); "
                "set another traps.port, or traps.enabled = false",
            )
        else:
            _log.info("traps_listening", host=self._config.host, port=self.inbox.port)

    async def _run(self) -> None:
        swept_s = saved_s = tried_s = time.monotonic()
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    _TICK_S if self._storm_counts.waiting else _IDLE_S
                ):
                    await self._work.wait()
            self._work.clear()
            try:
                self._process_waiting()
                await self._write()
                now_s = time.monotonic()
                if now_s - swept_s >= _SWEEP_S:
                    swept_s = now_s
                    self._storm_counts.end_quiet(now_s, self._now_ms())
                    self._refused_senders.log_summary(now_s)
                if now_s - saved_s >= _SAVE_S:
                    saved_s = now_s
                    await asyncio.to_thread(
                        self._engine.write_state, self._encode_state()
                    )
                if not self.inbox.is_open and now_s - tried_s >= _REOPEN_S:
                    tried_s = now_s
                    with contextlib.suppress(OSError):
                        self.inbox.open()
                        _log.info("traps_listening_again", port=self.inbox.port)
            except Exception:  # noqa: BLE001 - the receiver must go on
                _log.exception("traps_failed")
                self.stats.failures += 1
                await asyncio.sleep(_TICK_S)
        self.inbox.receive()
        self._process_waiting()
        self._storm_counts.end_quiet(time.monotonic(), self._now_ms(), every=True)
        await self._write(every=True)

    def _process_waiting(self) -> None:
        now_s, now_ms = time.monotonic(), self._now_ms()
        for datagram in self.inbox.take_datagrams():
            try:
                self._process_datagram(datagram, now_s, now_ms)
            except Exception:  # noqa: BLE001 - one datagram never ends the receiver
                _log.exception("trap_failed", source=datagram[1])
                self.stats.failures += 1
                self.stats.refused["malformed"] += 1
        if self.inbox.has_more:
            self._work.set()

    def _process_datagram(self, datagram: Datagram, now_s: float, now_ms: int) -> None:
        data, address, port, sender = datagram
        try:
            accepted = self._senders.authenticate(data, address, now_s)
        except TrapRefused as refused:
            if refused.reason == "discovery":
                self.stats.discoveries += 1
            else:
                self.stats.refused[refused.reason] += 1
                self._refused_senders.count_refusal(address, refused.reason, now_s)
            if refused.report:
                self.inbox.send(refused.report, sender)
            return
        pending: _PendingAnswer | None = None
        if accepted.pdu.is_inform:
            pending = self._await_answer(accepted, address, port, sender, now_s)
            if pending is None:
                self.stats.repeated += 1
                return
        event = self._reader.to_event(accepted.pdu)
        if event.personal:
            self.stats.withheld += 1
            if pending is not None:
                self._answer(pending, now_s)
            return
        self.stats.accepted += 1
        self.stats.incomplete += accepted.pdu.lost > 0
        device = accepted.device
        name = self._port(device, event)
        description = self._ports.port_description(device.id, name) if name else ""
        if description and description not in event.text:
            text = f"{event.text} ({description})"
            event = msgspec.structs.replace(event, text=text)
        self._storm_counts.add(device, event, name, now_ms, now_s, pending)
        if event.link or event.is_state:
            self._repolls.request(device.id, health=event.is_state and not event.link)

    def _port(self, device: Device, event: TrapEvent) -> str:
        """Return the port's stable name if the poller knows it."""
        if event.port_index is None:
            return event.port
        known = self._ports.port_name(device.id, event.port_index)
        return known or event.port or f"if{event.port_index}"

    def _await_answer(
        self,
        accepted: AcceptedTrap,
        address: str,
        port: int,
        sender: Any,
        now_s: float,
    ) -> _PendingAnswer | None:
        """Return the inform to be answered; None for a repeated one, which counts once.

        Its sender missed the response, or did not wait for it.
        """
        pdu = accepted.pdu
        key = (address, port, pdu.request_id, pdu.uptime, pdu.trap)
        known = self._informs.get(key)
        if known is not None and now_s - known.received_s < _INFORM_KEPT_S:
            if known.answered:
                self._answer(_PendingAnswer(accepted, sender, known), now_s)
            return None
        while len(self._informs) >= _MAX_INFORMS:
            self._informs.popitem(last=False)
        inform = self._informs[key] = _Inform(now_s)
        return _PendingAnswer(accepted, sender, inform)

    def _answer(self, pending: _PendingAnswer, now_s: float) -> None:
        pending.inform.answered = True
        response = self._senders.encode_response(pending.accepted, now_s)
        if self.inbox.send(response, pending.to):
            self.stats.answered += 1

    async def _write(self, every: bool = False) -> None:
        """Write the due rows to the journal, then answer their informs."""
        rows = self._storm_counts.take_due(time.monotonic(), self._now_ms(), every)
        for at in range(0, len(rows), _ROWS_AT_ONCE):
            await self._store(rows[at : at + _ROWS_AT_ONCE])

    async def _store(self, rows: list[EventRow]) -> None:
        try:
            await self._append.append(
                to_batch(rows, f"traps/{self._process}", self._now_ms())
            )
        except Exception as error:  # noqa: BLE001 - a full disk must not end the receiver
            self._storm_counts.put_back(rows)
            self.stats.failures += 1
            self._failures.failed(error, kept="in memory")
            return
        self._failures.recovered()
        self.stats.rows += len(rows)
        now_s = time.monotonic()
        for row in rows:
            self.stats.counted += row.count
            for pending in row.waiting:
                self._answer(pending, now_s)

    def _encode_state(self) -> bytes:
        return self._engine.encode_state(time.monotonic(), self._now_ms() / 1000)
