"""Queries addresses at a gentle pace, with the given credentials only.

Each address gets one ping and one SNMPv3 engine discovery, which needs no secret. Then
each credential is tried in turn until one fits. An address without an answer so far is
tried once with each community, because a v2c agent ignores a wrong community and a
firewall may drop pings.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import msgspec

from collectors.discovery.address_ranges import Address
from collectors.ping import Pinger, PingTarget
from collectors.snmp.profiles.identity import Identity, identify, read_system
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.device_session import DeviceSession
from collectors.snmp.session.engine_discovery import read_engine_id
from collectors.snmp.session.octet_text import mac, text
from collectors.snmp.session.oids import SYS_UP_TIME
from collectors.snmp.session.poll_budget import PollBudget
from collectors.snmp.session.session import Failed, GetRefused, RetryPolicy, Value
from collectors.snmp.session.sessions import Sessions
from collectors.snmp.session.silent_agent import explain_silence
from collectors.snmp.tables.ip_addresses import parse_addresses, read_addresses
from probes.wire.failure import Outcome

_ENGINE_ID = "1.3.6.1.6.3.10.2.1.1.0"
_BRIDGE_ADDRESS = "1.3.6.1.2.1.17.1.1.0"
_BRIDGE_PORTS = "1.3.6.1.2.1.17.1.2.0"
_SERVICES = "1.3.6.1.2.1.1.7.0"
# entPhysicalSerialNum of entity 1, and of 1001, Cisco's number for the first chassis.
_SERIALS = ("1.3.6.1.2.1.47.1.1.1.1.11.1", "1.3.6.1.2.1.47.1.1.1.1.11.1001")
_BUDGET_S = 20.0
_WRONG_CREDENTIAL = (Outcome.AUTH_FAILED, Outcome.TIMEOUT)

NamedCredential = tuple[str, Credential]


class SweepAnswer(msgspec.Struct, frozen=True):
    """What one address answered. `icmp` is None if pings could not be sent;
    `credential` is the name of the one that fits, or None. `refusals`: by the name of
    each other one, why it does not."""

    address: str
    icmp: bool | None = None
    has_agent: bool = False
    engine_id: str = ""
    credential: str | None = None
    identity: Identity | None = None
    bridge_address: str = ""
    bridge_ports: int = 0
    services: int = 0
    serial: str = ""
    own_addresses: tuple[str, ...] = ()
    refusals: dict[str, str] = {}

    @property
    def is_silent(self) -> bool:
        return not (self.icmp or self.has_agent or self.credential)


class SweepPace:
    """Limits the sweep to `per_s` packets a second, evenly spaced."""

    def __init__(self, per_s: float) -> None:
        self._gap_s, self._next_s = 1.0 / per_s, 0.0

    async def wait(self, packets: int = 1) -> None:
        now_s = time.monotonic()
        begins_s = max(now_s, self._next_s)
        self._next_s = begins_s + packets * self._gap_s
        await asyncio.sleep(begins_s - now_s)


class SweepSettings(msgspec.Struct, frozen=True):
    """`per_s`: packets a second in total; `timeout_s`: how long to wait for an
    answer."""

    port: int = 161
    per_s: float = 50.0
    at_once: int = 64
    timeout_s: float = 1.0


async def sweep(
    settings: SweepSettings,
    targets: Sequence[Address],
    credentials: Callable[[Address], Sequence[NamedCredential]],
    done: Callable[[SweepAnswer], None],
) -> None:
    """Query all `targets`; call `done` with each answer as it is complete, so that an
    interrupted sweep has its answers so far."""
    pace = SweepPace(settings.per_s)
    rest: Iterator[Address] = iter(targets)

    async def work(pinger: Pinger, sessions: Sessions) -> None:
        for target in rest:
            probe = _AddressProbe(settings, pace, pinger, sessions, str(target))
            done(await probe.run(credentials(target)))

    async with (
        Pinger(loopback=True) as pinger,
        Sessions() as sessions,
        asyncio.TaskGroup() as group,
    ):
        for number in range(min(settings.at_once, len(targets))):
            group.create_task(work(pinger, sessions), name=f"discover {number}")


class _AddressProbe:
    """Queries one address."""

    def __init__(
        self,
        settings: SweepSettings,
        pace: SweepPace,
        pinger: Pinger,
        sessions: Sessions,
        address: str,
    ) -> None:
        self._settings, self._pace, self._address = settings, pace, address
        self._pinger, self._sessions = pinger, sessions

    async def run(self, credentials: Sequence[NamedCredential]) -> SweepAnswer:
        settings = self._settings
        await self._pace.wait(2)
        pinged, engine = await asyncio.gather(
            self._ping(),
            read_engine_id(self._address, settings.port, settings.timeout_s),
        )
        if engine is None and pinged:
            # The device is up: repeat, in case a packet of an SNMPv3 agent was lost.
            await self._pace.wait()
            engine = await read_engine_id(
                self._address, settings.port, settings.timeout_s
            )
        answer = SweepAnswer(
            self._address,
            icmp=pinged,
            has_agent=engine is not None,
            engine_id=(engine or b"").hex(),
        )
        refusals: dict[str, str] = {}
        for name, credential in credentials:
            if credential.version == "3" and engine is None:
                continue
            try:
                return await self._read(answer, name, credential)
            except Failed as failed:
                refusals[name] = await self._explain(answer, credential, failed)
                if failed.outcome not in _WRONG_CREDENTIAL:
                    break
        return msgspec.structs.replace(answer, refusals=refusals)

    async def _explain(
        self, answer: SweepAnswer, credential: Credential, failed: Failed
    ) -> str:
        """Why the credential does not fit."""
        if failed.outcome is not Outcome.TIMEOUT or not answer.has_agent:
            return failed.detail
        await self._pace.wait(3)
        settings = self._settings
        reason = await explain_silence(
            self._address, settings.port, credential, settings.timeout_s
        )
        return reason or failed.detail

    async def _ping(self) -> bool | None:
        """Return whether a ping is answered, or None if none can be sent."""
        if not self._pinger.reaches(self._address):
            return None
        pinged = PingTarget(self._pinger, self._address)
        self._pinger.send(pinged)
        await asyncio.sleep(self._settings.timeout_s)
        echoes = pinged.read_result()
        return echoes is not None and echoes.answered > 0

    async def _read(
        self, answer: SweepAnswer, name: str, credential: Credential
    ) -> SweepAnswer:
        """Return the answer with the device's details.

        Raises `Failed` if the credential does not fit.
        """
        timeout_s = self._settings.timeout_s
        # A silent address is tried once; one that is up may have lost a packet.
        waits = (timeout_s,) if answer.is_silent else (timeout_s, 2 * timeout_s)
        await self._pace.wait(len(waits) + 2 * (credential.version == "3"))
        session = self._sessions.open(
            self._address, self._settings.port, credential, RetryPolicy(waits)
        )
        snmp = DeviceSession(session, PollBudget(_BUDGET_S))
        try:
            # One cheap GET shows whether the credential fits.
            with suppress(GetRefused):
                await session.get([SYS_UP_TIME])
            session.retry_policy = RetryPolicy((timeout_s, 2 * timeout_s))
            await self._pace.wait(5)
            identity = identify(await read_system(snmp))
            details, own_addresses = await self._read_details(snmp)
        finally:
            session.close()
        engine = details.get(_ENGINE_ID)
        ports, services = details.get(_BRIDGE_PORTS), details.get(_SERVICES)
        serials = [text(details.get(oid)) for oid in _SERIALS]
        return msgspec.structs.replace(
            answer,
            credential=name,
            identity=identity,
            engine_id=engine.hex() if isinstance(engine, bytes) else answer.engine_id,
            bridge_address=mac(details.get(_BRIDGE_ADDRESS)) or "",
            bridge_ports=ports if isinstance(ports, int) else 0,
            services=services if isinstance(services, int) else 0,
            serial=next((serial for serial in serials if serial), ""),
            own_addresses=own_addresses,
        )

    async def _read_details(
        self, snmp: DeviceSession
    ) -> tuple[dict[str, Value], tuple[str, ...]]:
        """Read what shows that two addresses belong to one device: (values by OID, own
        addresses). Agents may lack any of it."""
        details: dict[str, Value] = {}
        own: tuple[str, ...] = ()
        oids = [_ENGINE_ID, _BRIDGE_ADDRESS, _BRIDGE_PORTS, _SERVICES, *_SERIALS]
        # A v1 agent refuses the whole GET if it lacks one of the objects.
        for some in [[oid] for oid in oids] if snmp.is_v1 else [oids]:
            with suppress(Failed):
                details |= await snmp.get_some(some)
        with suppress(Failed):
            rows = await read_addresses(snmp)
            own = tuple(row.address for row in parse_addresses(rows))
        return details, own
