"""A session in Python: SNMP v1, v2c and v3 over UDP.

A response is read binding by binding (`pdu`), so a value that cannot be read costs only
that value; `unreadable` keeps its OID and the reason.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Sequence

from collectors.snmp.session import pdu
from collectors.snmp.session.answer_time import AnswerTime
from collectors.snmp.session.ber import Malformed, oid_name
from collectors.snmp.session.channel import Channel, open_channel
from collectors.snmp.session.column_syntax import type_mismatch
from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.envelope import (
    OtherAnswer,
    Resync,
    V3Refused,
    envelope_for,
    refusal_sentence,
)
from collectors.snmp.session.oids import under
from collectors.snmp.session.pdu import Response, VarBind
from collectors.snmp.session.session import (
    BUDGET_SPENT,
    AnswerTooBig,
    Failed,
    GetRefused,
    RequestCounts,
    RetryPolicy,
    UnreadableValues,
    Value,
    WalkRow,
)
from probes.wire.counted_text import counted
from probes.wire.durations import duration_text
from probes.wire.failure import Outcome
from probes.wire.socket_errors import outcome_of

# Discovery, a wrong clock, and an engine that has changed meanwhile.
_MAX_RESYNCS = 3
# The agent may be restarting.
_REFUSED_PAUSE_S = 0.2
NO_AGENT = "no agent listens on that port"
_STATUSES = {
    1: "tooBig",
    2: "noSuchName",
    3: "badValue",
    5: "genErr",
    6: "noAccess",
    13: "resourceUnavailable",
    16: "authorizationError",
}


class NoAccess(Failed):
    """The agent accepts the credential, and lets it read nothing."""

    def __init__(self, detail: str) -> None:
        super().__init__(Outcome.AUTH_FAILED, detail)


class UdpSession:
    """One agent at one address. `address` is an IP literal."""

    def __init__(
        self, address: str, port: int, credential: Credential, retry_policy: RetryPolicy
    ) -> None:
        self._address, self._port = address, port
        self._credential = credential
        self.retry_policy = retry_policy
        self.counts = RequestCounts()
        self.unreadable = UnreadableValues()
        self.on_retry: Callable[[], None] | None = None
        self.answer_time = AnswerTime()
        self.ends_s = math.inf
        self._channel: Channel | None = None
        self._envelope = envelope_for(credential)
        self._has_read = False
        # When each request was sent that is waited for, by its number.
        self._sent_s: dict[int, float] = {}
        # Which try of the request each of them belongs to, and the last one answered.
        self._try_of: dict[int, int] = {}
        self._try = self._answered_try = 0
        # The numbers of the tries since the agent last reported its engine.
        self._current: set[int] = set()

    @property
    def version(self) -> str:
        return self._credential.version

    @property
    def credential(self) -> Credential:
        return self._credential

    async def get(self, oids: Sequence[str]) -> dict[str, Value]:
        wanted = list(oids)
        values: dict[str, Value] = {}
        while wanted:
            response = await self._request(pdu.GET, wanted)
            if response.status == pdu.NO_SUCH_NAME and (
                0 < response.error_index <= len(wanted)
            ):
                # v1 refuses a whole GET for one OID: send it again without that one.
                del wanted[response.error_index - 1]
                continue
            if response.status == pdu.TOO_BIG:
                raise AnswerTooBig(_status_text(response.status))
            if response.status:
                at = response.error_index - 1
                suspect = wanted[at] if 0 <= at < len(wanted) else ""
                raise GetRefused(_status_text(response.status), suspect)
            binds = response.binds
            if not binds and len(wanted) > 1:
                # Some agents answer too large a GET with an empty list.
                raise AnswerTooBig("an answer without values")
            if not response.complete and len(binds) > 1:
                # The list breaks off within the last one, which may be wrong.
                binds = binds[:-1]
            for oid, value in self._rows(binds):
                if value is not None:
                    values[oid] = value
            if response.complete:
                break
            wanted = wanted[max(1, len(binds)) :]
        return values

    def pages(self, base: str, repetitions: int, after: str = "") -> UdpPages:
        if self._credential.version == "1":
            repetitions = 1
        return UdpPages(self, base, repetitions, after)

    def get_engine_id(self) -> bytes:
        """The agent's engine id (v3); empty if it is not known."""
        return self._envelope.engine_id

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = None

    async def _open(self) -> Channel:
        return await open_channel(self._address, self._port)

    def _rows(self, binds: Sequence[VarBind]) -> list[WalkRow]:
        """The bindings with a name, as rows; records which values are unreadable."""
        rows: list[WalkRow] = []
        for oid, value, fault in binds:
            if not oid:
                continue
            fault = fault or type_mismatch(oid, value)
            self.unreadable.record(oid, fault)
            rows.append((oid, None if fault else value))
        return rows

    async def _request(
        self, kind: int, oids: Sequence[str], first: int = 0, second: int = 0
    ) -> Response:
        """One request and its response. Raises `Failed`."""
        names = [oid_name(oid) for oid in oids]
        requested = oids if kind == pdu.GET else ()

        def request(number: int) -> bytes:
            return pdu.encode(kind, number, names, first, second)

        # A late answer to an earlier try is as good; its number tells how long it took.
        self._sent_s, self._try_of, self._answered_try = {}, {}, 0
        self._current.clear()
        timeouts_s = self.retry_policy.timeouts_s
        refused = False
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        if self._channel is not None:
            self._channel.clear()
        for attempt, timeout_s in enumerate(timeouts_s):
            self._try = attempt
            if attempt > 0:
                self.counts.retries += 1
                if self.on_retry is not None:
                    self.on_retry()
                # An agent that has restarted may not answer the old engine id. If
                # packets are lost, that is rarely why, and costs one more of them.
                if not self.answer_time.is_lossy or attempt + 1 == len(timeouts_s):
                    self._envelope.discover_again()
            try:
                response = await self._exchange(request, requested, timeout_s)
                self._record_time(response.request_id)
                self._check_access(response)
                return response
            except TimeoutError:
                if loop.time() >= self.ends_s:
                    raise Failed(Outcome.BUDGET_SPENT, BUDGET_SPENT) from None
                continue
            except (ConnectionRefusedError, ConnectionResetError):
                # Windows raises "reset" for a closed UDP port.
                refused = True
                await asyncio.sleep(min(timeout_s, _REFUSED_PAUSE_S))
            except OSError as error:
                raise Failed(outcome_of(error), str(error)) from None
            except V3Refused as error:
                raise Failed(Outcome.AUTH_FAILED, str(error)) from None
            except Malformed as error:
                raise Failed(Outcome.BAD_ANSWER, f"not SNMP: {error}") from None
        if refused:
            raise Failed(Outcome.REFUSED, NO_AGENT)
        requests = counted(len(timeouts_s), "request")
        took = duration_text(loop.time() - began_s)
        raise Failed(Outcome.TIMEOUT, f"no answer to {requests} within {took}")

    def _record_time(self, number: int) -> None:
        """The answer to that request has come."""
        now_s = asyncio.get_running_loop().time()
        lost = max(0, self._try_of[number] - self._answered_try)
        self._answered_try += lost
        self.answer_time.record(now_s - self._sent_s[number], lost)

    def _check_access(self, response: Response) -> None:
        """Raises `Failed` if the agent lets this credential read nothing (RFC 3413
        section 3.2: an authorizationError of the whole request)."""
        if not response.status:
            self._has_read = True
        elif (
            response.status == pdu.AUTHORIZATION_ERROR
            and not response.error_index
            and not self._has_read
        ):
            reason = "access" if self.version == "3" else "community"
            raise NoAccess(refusal_sentence(self._credential, reason))

    async def _exchange(
        self,
        request: Callable[[int], bytes],
        requested: Sequence[str],
        timeout_s: float,
    ) -> Response:
        """Sends the request under a new number, and waits for an answer to any try."""
        if self._channel is None:
            self._channel = await self._open()
        envelope, reason = self._envelope, ""
        for _ in range(_MAX_RESYNCS):
            self.counts.packets += 1
            number = secrets.randbits(31)
            self._sent_s[number] = asyncio.get_running_loop().time()
            self._try_of[number] = self._try
            self._current.add(number)
            try:
                if envelope.needs_discovery:
                    self._channel.send(envelope.discovery(number))
                else:
                    self._channel.send(envelope.seal(request(number), number))
                # From now on: making the keys of a user takes time too.
                wait_s = self.answer_time.wait_s(timeout_s)
                ends_s = min(asyncio.get_running_loop().time() + wait_s, self.ends_s)
                return await self._receive(requested, ends_s)
            except Resync as resync:
                # It is alive: the next message has the whole time. A duplicate report
                # counts once, for that message has another number.
                self._record_time(resync.number)
                self._current.clear()
                reason = str(resync)
        raise Failed(Outcome.AUTH_FAILED, reason)

    async def _receive(self, requested: Sequence[str], ends_s: float) -> Response:
        assert self._channel is not None
        numbers = self._sent_s
        while True:
            datagram = await self._channel.receive(ends_s)
            try:
                data, at, end = self._envelope.open(datagram, numbers, self._current)
            except OtherAnswer:
                continue
            response = pdu.decode(data, at, end, requested)
            if response.kind == pdu.RESPONSE and response.request_id in numbers:
                return response


class UdpPages:
    """A walk, without guards against loops: those are `DeviceSession`'s."""

    def __init__(
        self, session: UdpSession, base: str, repetitions: int, after: str
    ) -> None:
        self._session, self._base, self._repetitions = session, base, repetitions
        self._next = after or base
        self._ended = False

    async def read(self) -> list[WalkRow]:
        if self._ended:
            return []
        response = await self._request(self._repetitions)
        if not response.binds and not response.status and self._repetitions > 1:
            # Either the end, or more than the agent can answer: one row shows which.
            response = await self._request(1)
            if any(under(bind.oid, self._base) for bind in response.binds):
                raise AnswerTooBig(
                    "an empty answer to GETBULK, but there are more rows"
                )
        if response.status:
            return self._refused(response.status)
        binds = []
        for bind in response.binds:
            # No progress: endOfMibView, or an agent that loops.
            outside = bind.oid and not under(bind.oid, self._base)
            if outside or bind.oid == self._next:
                self._ended = True
                break
            binds.append(bind)
        rows = self._session._rows(binds)
        if rows:
            self._next = rows[-1][0]
        elif binds:
            raise Failed(Outcome.BAD_ANSWER, binds[0].fault or "no names")
        else:
            self._ended = True
        return rows

    async def _request(self, repetitions: int) -> Response:
        if repetitions > 1:
            return await self._session._request(
                pdu.GET_BULK, [self._next], 0, repetitions
            )
        return await self._session._request(pdu.GET_NEXT, [self._next])

    def _refused(self, status: int) -> list[WalkRow]:
        if status == pdu.NO_SUCH_NAME:
            return []
        if self._repetitions > 1 or status == pdu.TOO_BIG:
            raise AnswerTooBig(_status_text(status))
        # One row at a time is the minimum: what comes after it cannot be read.
        return []


def _status_text(status: int) -> str:
    name = _STATUSES.get(status)
    return f"error-status {status} ({name})" if name else f"error-status {status}"
