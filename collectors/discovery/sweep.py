"""Asks addresses who is there: politely, and with the credentials it was given.

For each address one echo and one SNMPv3 engine discovery, which needs no secret. Who
answered is asked with each credential in turn until one fits, once each; who did not is
asked once with each community, since an agent of v2c says nothing to a stranger and a
firewall may eat echoes. Nothing is guessed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import msgspec

from collectors.discovery.address_ranges import Address
from collectors.ping import Pinged, Pinger
from collectors.snmp.profiles.identity import Identity, identify, read_system
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.engine_discovery import engine_of
from collectors.snmp.session.octet_text import mac, text
from collectors.snmp.session.oids import SYS_UP_TIME
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, RetryPolicy, Value
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.tables.ip_addresses import addresses, read_addresses
from probes.wire.failure import Outcome

_ENGINE_ID = "1.3.6.1.6.3.10.2.1.1.0"
_BRIDGE_ADDRESS = "1.3.6.1.2.1.17.1.1.0"
_BRIDGE_PORTS = "1.3.6.1.2.1.17.1.2.0"
_SERVICES = "1.3.6.1.2.1.1.7.0"
# entPhysicalSerialNum of the first entity, and of the first where Cisco numbers so.
_SERIALS = ("1.3.6.1.2.1.47.1.1.1.1.11.1", "1.3.6.1.2.1.47.1.1.1.1.11.1001")
_BUDGET_S = 20.0
_STRANGER = (Outcome.AUTH_FAILED, Outcome.TIMEOUT)

Named = tuple[str, Credential]


class SweepAnswer(msgspec.Struct, frozen=True):
    """What one address said. `icmp` is None where echoes could not be sent;
    `credential` is the name of what fitted, None where nothing did."""

    address: str
    icmp: bool | None = None
    speaks: bool = False
    engine_id: str = ""
    credential: str | None = None
    identity: Identity | None = None
    bridge_address: str = ""
    bridge_ports: int = 0
    services: int = 0
    serial: str = ""
    own_addresses: tuple[str, ...] = ()
    detail: str = ""

    @property
    def silent(self) -> bool:
        return not (self.icmp or self.speaks or self.credential)


class SweepPace:
    """At most `per_s` packets a second, evenly."""

    def __init__(self, per_s: float) -> None:
        self._gap_s, self._next_s = 1.0 / per_s, 0.0

    async def take(self, packets: int = 1) -> None:
        now_s = time.monotonic()
        begins_s = max(now_s, self._next_s)
        self._next_s = begins_s + packets * self._gap_s
        await asyncio.sleep(begins_s - now_s)


class Sweep(msgspec.Struct, frozen=True):
    """How it is done. `per_s`: packets a second over all; `timeout_s` for an answer."""

    port: int = 161
    per_s: float = 50.0
    at_once: int = 64
    timeout_s: float = 1.0


async def sweep(
    how: Sweep,
    targets: Sequence[Address],
    credentials: Callable[[Address], Sequence[Named]],
    done: Callable[[SweepAnswer], None],
) -> None:
    """Asks all `targets`; `done` is called as each ends, so that what was found is
    there when it is broken off."""
    pace = SweepPace(how.per_s)
    todo: Iterator[Address] = iter(targets)

    async def work(pinger: Pinger, sessions: Sessions) -> None:
        for target in todo:
            asked = _Asked(how, pace, pinger, sessions, str(target))
            done(await asked.ask(credentials(target)))

    async with (
        Pinger(loopback=True) as pinger,
        Sessions() as sessions,
        asyncio.TaskGroup() as group,
    ):
        for number in range(min(how.at_once, len(targets))):
            group.create_task(work(pinger, sessions), name=f"discover {number}")


class _Asked:
    """One address."""

    def __init__(
        self,
        how: Sweep,
        pace: SweepPace,
        pinger: Pinger,
        sessions: Sessions,
        address: str,
    ) -> None:
        self._how, self._pace, self._address = how, pace, address
        self._pinger, self._sessions = pinger, sessions

    async def ask(self, credentials: Sequence[Named]) -> SweepAnswer:
        how = self._how
        await self._pace.take(2)
        echoes, engine = await asyncio.gather(
            self._echo(), engine_of(self._address, how.port, how.timeout_s)
        )
        if engine is None and echoes:
            # It is there: a lost packet must not make its agent one without v3.
            await self._pace.take()
            engine = await engine_of(self._address, how.port, how.timeout_s)
        answer = SweepAnswer(
            self._address,
            icmp=echoes,
            speaks=engine is not None,
            engine_id=(engine or b"").hex(),
        )
        detail = ""
        for name, credential in credentials:
            if credential.version == "3" and engine is None:
                continue
            try:
                return await self._read(answer, name, credential)
            except Failed as failed:
                detail = f"{failed.outcome.value}: {failed.detail}"
                if failed.outcome not in _STRANGER:
                    break
        return msgspec.structs.replace(answer, detail=detail)

    async def _echo(self) -> bool | None:
        """Whether an echo comes back; None where none can be sent."""
        if not self._pinger.reaches(self._address):
            return None
        pinged = Pinged(self._pinger, self._address)
        self._pinger.send(pinged)
        await asyncio.sleep(self._how.timeout_s)
        fate = pinged.take()
        return fate is not None and fate.answered > 0

    async def _read(
        self, answer: SweepAnswer, name: str, credential: Credential
    ) -> SweepAnswer:
        """Raises `Failed` where the credential does not fit."""
        timeout_s = self._how.timeout_s
        # Who gave no sign is asked once; who is there may have lost a packet.
        waits = (timeout_s,) if answer.silent else (timeout_s, 2 * timeout_s)
        await self._pace.take(len(waits) + 2 * (credential.version == "3"))
        session = self._sessions.open(
            self._address, self._how.port, credential, RetryPolicy(waits)
        )
        snmp = DeviceSession(session, PollBudget(_BUDGET_S))
        try:
            # The least there is to ask, so that a stranger is not asked more.
            await session.get([SYS_UP_TIME])
            session.retry_policy = RetryPolicy((timeout_s, 2 * timeout_s))
            await self._pace.take(5)
            identity = identify(await read_system(snmp))
            more, own = await self._more(snmp)
        finally:
            session.close()
        engine = more.get(_ENGINE_ID)
        ports, services = more.get(_BRIDGE_PORTS), more.get(_SERVICES)
        serials = [text(more.get(oid)) for oid in _SERIALS]
        return msgspec.structs.replace(
            answer,
            credential=name,
            identity=identity,
            engine_id=engine.hex() if isinstance(engine, bytes) else answer.engine_id,
            bridge_address=mac(more.get(_BRIDGE_ADDRESS)) or "",
            bridge_ports=ports if isinstance(ports, int) else 0,
            services=services if isinstance(services, int) else 0,
            serial=next((each for each in serials if each), ""),
            own_addresses=own,
        )

    async def _more(
        self, snmp: DeviceSession
    ) -> tuple[dict[str, Value], tuple[str, ...]]:
        """What tells two addresses of one device; agents may lack any of it."""
        more: dict[str, Value] = {}
        own: tuple[str, ...] = ()
        wanted = [_ENGINE_ID, _BRIDGE_ADDRESS, _BRIDGE_PORTS, _SERVICES, *_SERIALS]
        # A v1 agent refuses the whole GET for one thing it lacks.
        for some in [[each] for each in wanted] if snmp.is_v1 else [wanted]:
            with suppress(Failed):
                more |= await snmp.get_some(some)
        with suppress(Failed):
            rows = await read_addresses(snmp)
            own = tuple(each.address for each in addresses(rows))
        return more, own
