"""The pollers of one installation share the estate over a NATS key-value bucket.

There is one key for each session of a poller, whatever the number of devices: the
poller's lease on all that it holds. The bucket's own time to live only removes what
dead sessions left: leases end by the clocks of the pollers (`poller_roster`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple, Self

import msgspec
import structlog
from nats.js import errors as jetstream_errors
from nats.js.kv import KeyValue

from collectors.background_tasks import BackgroundTasks
from collectors.estate.estate_model import Device, Site, VpnGateway
from collectors.failure_log import FailureLog
from collectors.nats.nats_buckets import open_bucket
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from collectors.sharing.bounded_assignment import SharedDevice, assign
from collectors.sharing.estate_share import digest, gateway_key
from collectors.sharing.poller_roster import RENEWALS, Entry, PollerRoster, View
from probes.wire.clock import MonotonicClock, steady_s
from probes.wire.sample import Sample, Value

_log = structlog.get_logger()
_KEPT_S = 3600.0
_RETRY_S = 1.0
_LEAVE_S = 2.0
_UNREADABLE_LEASE_S = 60.0


class SharedKind(NamedTuple):
    """What is shared: the bucket for it, and what the log calls those that share, a
    change of what one holds, a lease that has ended, and one that was not renewed."""

    bucket: str
    holder: str
    changed: str
    lost: str
    not_renewed: str


DEVICES = SharedKind(
    "pollers", "poller", "devices_shared", "lease_lost", "pollers_not_shared"
)
ALERTING = SharedKind(
    "alerting",
    "machine",
    "alert_lease_changed",
    "alert_lease_lost",
    "alert_lease_not_renewed",
)


class _Session:
    """What was published of one session."""

    def __init__(self, roster: PollerRoster) -> None:
        self.roster = roster
        self.changes = 0
        self.published: Entry | None = None
        self.published_s = self.read_s = float("-inf")
        # Of its key: a publication that was held up never replaces a later one.
        self.revision = 0


class NatsShare:
    """`async with NatsShare(connection, name, near, lease_s)`, in a thread of its own
    (`share_thread`).

    Without NATS it holds what it has until its lease ends, and then nothing.
    """

    def __init__(
        self,
        connection: NatsConnection,
        name: str,
        near: Collection[str] = (),
        lease_s: float = 15.0,
        now_s: MonotonicClock = steady_s,
        kind: SharedKind = DEVICES,
    ) -> None:
        self.name, self.changes, self._kind = name, 0, kind
        self.on_change: Callable[[], Awaitable[None]] | None = None
        self._connection, self._near = connection, tuple(near)
        self._lease_s, self._now_s = lease_s, now_s
        self._devices: list[SharedDevice] = []
        self._session = self._new_session()
        # Sessions that this process had before.
        self._old_keys: set[str] = set()
        self._turn = asyncio.Event()
        self._stepping = asyncio.Lock()
        # Kept: one that was cancelled could be collected before it has ended.
        self._last_step: asyncio.Task[None] | None = None
        self._failures = FailureLog(kind.not_renewed, level="warning")
        self._tasks = BackgroundTasks()
        self._is_leaving = False

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), "share of the estate")
        self._tasks.start(self._guard(), "lease on the estate")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leaves: the others need not wait for the lease to end."""
        # Python 3.11 loses a cancellation that comes together with an answer.
        self._is_leaving = True
        self._turn.set()
        await self._tasks.stop()
        self._roster.leave()
        await self._apply(self._session)
        with contextlib.suppress(*NATS_FAILURES):
            async with asyncio.timeout(_LEAVE_S):
                bucket = await self._connection.jetstream.key_value(self._bucket_name)
                await bucket.delete(self._roster.session)

    @property
    def held(self) -> int:
        """How many devices it may poll now."""
        now_s = self._now_s()
        is_held = now_s < self._roster.deadline_s
        return len(self._roster.held) if is_held else 0

    @property
    def deadline_s(self) -> float:
        """When its lease ends."""
        return self._roster.deadline_s

    @property
    def pollers(self) -> int:
        """How many pollers share the estate, as far as is known."""
        return self._roster.pollers

    def sample(self, process: str, now_ms: int) -> Sample:
        """One row of `self_share`."""
        now_s, roster = self._now_s(), self._roster
        settled = (
            roster.is_settled and now_s < roster.deadline_s and not roster.is_left_out
        )
        fields: dict[str, Value] = {
            "held": self.held,
            "pollers": roster.pollers,
            "settled": int(settled),
            "changes": self.changes,
        }
        return Sample("self_share", {"process": process}, fields, now_ms)

    def share(self, devices: list[SharedDevice]) -> None:
        """What there is to share has changed."""
        self._devices = devices
        self._roster.set_estate(digest(devices))
        self._turn.set()

    def prefer(self, sites: tuple[str, ...]) -> None:
        """From now on it is near these sites."""
        self._near = sites
        self._roster.set_near(sites)
        self._turn.set()

    def holds(self, device: Device) -> bool:
        return self._roster.holds(device.id, self._now_s())

    def holds_gateway(self, gateway: VpnGateway) -> bool:
        return self._roster.holds(gateway_key(gateway), self._now_s())

    def speaks_for(self, site: Site) -> bool:
        return not site.poller and self._roster.leads(self._now_s())

    @property
    def _bucket_name(self) -> str:
        return f"{self._connection.config.prefix}-{self._kind.bucket}"

    @property
    def _own_name(self) -> dict[str, str]:
        return {self._kind.holder: self.name}

    @property
    def _roster(self) -> PollerRoster:
        return self._session.roster

    def _new_session(self) -> _Session:
        roster = PollerRoster(
            secrets.token_hex(8), self.name, self._near, self._lease_s, self._divide
        )
        roster.set_estate(digest(self._devices))
        return _Session(roster)

    def _divide(self, view: View, session: str) -> list[str]:
        names = {entry.session: entry.name for entry in view.sharing}
        holders = assign(self._devices, view.sharing)
        own = names.get(session)
        return [device for device, holder in holders.items() if holder == own]

    async def _run(self) -> None:
        while not self._is_leaving:
            try:
                await self._run_session()
            except NATS_FAILURES as error:
                if isinstance(error, TimeoutError):
                    self._connection.doubt()
                self._failures.failed(self._connection.sentence(error))
            except Exception as error:  # noqa: BLE001 - or it would never poll again
                _log.exception("share_failed", **self._own_name, error=repr(error))
            # What it holds goes on while NATS fails, as long as its lease.
            await self._step()
            await asyncio.sleep(min(_RETRY_S, self._lease_s / RENEWALS))

    async def _run_session(self) -> None:
        """Follows the others until something fails. Raises what NATS raises."""
        # A server that is cut off from the others does not answer: the next one may.
        async with asyncio.timeout(self._lease_s / 3):
            bucket = await open_bucket(self._connection, self._bucket_name, _KEPT_S)
            watcher = await bucket.watchall()
        reading = asyncio.create_task(self._read(watcher), name="pollers of the estate")
        try:
            while not (reading.done() or self._is_leaving):
                self._turn.clear()
                await self._step_and_renew(bucket)
                await self._publish(bucket, self._roster.entry)
                await self._remove_ended(bucket)
                now_s = self._now_s()
                if self._is_deaf(now_s):
                    raise TimeoutError
                await self._wait_turn(now_s)
            if reading.done():
                reading.result()
        finally:
            reading.cancel()
            with contextlib.suppress(*NATS_FAILURES):
                await watcher.stop()  # type: ignore[no-untyped-call]

    async def _read(self, watcher: KeyValue.KeyWatcher) -> None:
        async for update in watcher:
            if update is None:
                # What there was at the start has been read.
                self._turn.set()
                continue
            session, now_s = self._session, self._now_s()
            entry = None
            if update.operation is None:
                entry = _decode(update.key, update.value)
            if update.key == session.roster.session:
                session.revision = max(session.revision, update.revision or 0)
                session.read_s = now_s
            session.roster.receive(
                update.key, entry, now_s, update.delta == 0, update.revision or 0
            )
            if update.delta == 0:
                self._turn.set()

    async def _guard(self) -> None:
        """Stops what is held when the lease ends, even while NATS is waited for."""
        while not self._is_leaving:
            left_s = self._roster.deadline_s - self._now_s()
            if left_s <= 0 and self._roster.held:
                await self._step()
            longest_s = self._lease_s / RENEWALS
            await asyncio.sleep(min(left_s, longest_s) if left_s > 0 else longest_s)

    async def _step(self) -> None:
        async with self._stepping:
            session, now_s = self._session, self._now_s()
            session.roster.step(now_s)
            await self._apply(session)
            if session.roster.has_expired(now_s):
                _log.warning(self._kind.lost, **self._own_name)
                self._old_keys.add(session.roster.session)
                self._session = self._new_session()
                self._roster.copy_log(session.roster)

    async def _step_and_renew(self, bucket: KeyValue) -> None:
        """Steps. While a busy poller stops what it gives up, it keeps the rest: its
        lease is renewed, but others do not wait for it for longer than a lease."""
        stepping = self._last_step = asyncio.create_task(self._step(), name="step")
        until_s, every_s = self._now_s() + self._lease_s, self._lease_s / RENEWALS
        try:
            while self._now_s() < until_s:
                await asyncio.wait((stepping,), timeout=every_s)
                published = self._session.published
                if stepping.done():
                    break
                if published and not self._roster.has_expired(self._now_s()):
                    await self._publish(bucket, published)
            await stepping
        except asyncio.CancelledError:
            stepping.cancel()
            raise

    async def _apply(self, session: _Session) -> None:
        """The poller stops what is not held any more, and begins what is."""
        roster = session.roster
        if roster.changes == session.changes:
            return
        session.changes = roster.changes
        self.changes += 1
        _log.info(
            self._kind.changed,
            **self._own_name,
            held=len(roster.held),
            **{f"{self._kind.holder}s": roster.pollers},
        )
        if self.on_change is not None:
            await self.on_change()

    async def _publish(self, bucket: KeyValue, entry: Entry) -> None:
        """Publishes what is new, or renews what is not. Before it is new, the polls of
        what is not held have ended."""
        session, now_s = self._session, self._now_s()
        roster, every_s = session.roster, self._lease_s / RENEWALS
        if entry == session.published and now_s < session.published_s + every_s:
            return
        try:
            async with asyncio.timeout(every_s):
                body = msgspec.json.encode(entry)
                revision = await bucket.update(roster.session, body, session.revision)
        except jetstream_errors.KeyWrongLastSequenceError:
            # An earlier one is in the log after all: it will be read.
            await asyncio.sleep(every_s / 10)
            return
        except TimeoutError as error:
            # Busy servers answer late. To begin again would take longer than the lease.
            # One that is cut off from the others never answers.
            self._connection.doubt()
            self._failures.failed(self._connection.sentence(error))
            return
        self._failures.recovered()
        self._connection.confirm()
        roster.record_renewal(now_s, self._now_s())
        session.revision = max(session.revision, revision)
        if session.published is None:
            session.read_s = now_s
        session.published, session.published_s = entry, now_s
        for key in list(self._old_keys):
            await bucket.delete(key)
            self._old_keys.discard(key)

    async def _remove_ended(self, bucket: KeyValue) -> None:
        """Removes what dead sessions left, so that all know at once, and a poller that
        reads the bucket for the first time does not wait for them."""
        roster = self._roster
        for key, revision in list(roster.ended.items()):
            # Another poller may have removed it, or it was renewed just now.
            with contextlib.suppress(jetstream_errors.BadRequestError):
                await bucket.delete(key, last=revision)
            roster.record_removal(key)

    def _is_deaf(self, now_s: float) -> bool:
        """True if what it publishes is not read back: the watch is broken."""
        session = self._session
        is_late = now_s > session.read_s + self._lease_s / 2
        return session.published is not None and is_late

    async def _wait_turn(self, now_s: float) -> None:
        session = self._session
        until_s = min(
            session.published_s + self._lease_s / RENEWALS,
            session.roster.wake_s(now_s),
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.01, until_s - now_s)):
                await self._turn.wait()


def _decode(key: str, body: bytes | None) -> Entry:
    try:
        return msgspec.json.decode(body or b"", type=Entry)
    except (msgspec.DecodeError, msgspec.ValidationError):
        # Of another version of Towpath: it is there, and nothing else is known.
        return Entry(key, key, "unreadable", _UNREADABLE_LEASE_S)
