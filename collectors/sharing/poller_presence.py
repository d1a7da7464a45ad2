"""Which poller processes run: none of them can know alone that another one polls the
same devices, because `snmp.share` is not set.

Each puts a key into a bucket of NATS every minute, which the servers remove if nothing
renews it. Nothing but warnings depends on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Self

import msgspec
from nats.js import errors as jetstream_errors

from collectors.background_tasks import BackgroundTasks
from collectors.failure_log import FailureLog
from collectors.nats.nats_buckets import open_bucket
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from collectors.wake_times import sleep_with_others

_EVERY_S = 60.0
_KEPT_S = 150.0


class Presence(msgspec.Struct, frozen=True, order=True):
    """A poller process. `part` of the estate: `SHARED`; `WHOLE`; or, for a site's own
    poller, its name. `name`: of one that shares."""

    machine: str
    part: str
    name: str = ""


# No poller can have such a name.
SHARED, WHOLE = "/shared", "/whole"


def overlap_sentences(present: Iterable[Presence]) -> list[str]:
    """What is wrong with pollers that run at the same time. Pure."""
    by_part: dict[str, list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for presence in sorted(present):
        by_part.setdefault(presence.part, []).append(presence.machine)
        if presence.name:
            by_name.setdefault(presence.name, []).append(presence.machine)
    sentences = []
    whole, shared = by_part.pop(WHOLE, []), by_part.pop(SHARED, [])
    if whole and len(whole) + len(shared) > 1:
        sentence = f"pollers without snmp.share run on {_joined(whole)}"
        if shared:
            sentence += f", and with it on {_joined(shared)}"
        sentences.append(
            f"{sentence}: devices are polled several times; expected snmp.share = true "
            "for all of them"
        )
    sentences += [
        f"pollers with snmp.poller = {name!r} run on {_joined(machines)}: each polls "
        "the same sites; expected one"
        for name, machines in by_part.items()
        if len(machines) > 1
    ]
    sentences += [
        f"{len(machines)} pollers that share have the name {name!r}, on "
        f"{_joined(machines)}: their rows about themselves are mixed up; expected "
        "another snmp.poller for each"
        for name, machines in by_name.items()
        if len(machines) > 1
    ]
    return sentences


async def present_pollers(connection: NatsConnection) -> list[Presence]:
    """The pollers that run now. Raises what NATS raises."""
    try:
        bucket = await connection.jetstream.key_value(_bucket_name(connection))
        keys = await bucket.keys()
    except (jetstream_errors.NotFoundError, jetstream_errors.NoKeysError):
        return []
    present = []
    for key in keys:
        # It may have gone, or be of another version of Towpath.
        with contextlib.suppress(
            jetstream_errors.KeyNotFoundError, msgspec.DecodeError
        ):
            entry = await bucket.get(key)
            present.append(msgspec.json.decode(entry.value or b"", type=Presence))
    return present


class PollerPresence:
    """`async with PollerPresence(connection, machine, part, state)`: is seen by others,
    and logs if their parts overlap. `state`: the folder that no other process of this
    machine has. `name`: of one that shares."""

    def __init__(
        self,
        connection: NatsConnection,
        machine: str,
        part: str,
        state: Path,
        name: str = "",
    ) -> None:
        self._connection, self._presence = connection, Presence(machine, part, name)
        place = f"{machine}\0{state.absolute()}"
        self._key = blake2b(place.encode(), digest_size=8).hexdigest()
        self._failures = FailureLog(
            "pollers_overlap", "pollers_overlap_no_more", "warning"
        )
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), "presence of the poller")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        with contextlib.suppress(*NATS_FAILURES):
            jetstream = self._connection.jetstream
            bucket = await jetstream.key_value(_bucket_name(self._connection))
            await bucket.delete(self._key)

    async def _run(self) -> None:
        while True:
            # Without NATS the connection says what is wrong.
            with contextlib.suppress(*NATS_FAILURES):
                await self._renew()
                self._report(await present_pollers(self._connection))
            await sleep_with_others(_EVERY_S)

    async def _renew(self) -> None:
        name = _bucket_name(self._connection)
        bucket = await open_bucket(self._connection, name, _KEPT_S)
        await bucket.put(self._key, msgspec.json.encode(self._presence))

    def _report(self, present: Collection[Presence]) -> None:
        if sentences := overlap_sentences(present):
            self._failures.failed("; ".join(sentences))
        else:
            self._failures.recovered()


def _bucket_name(connection: NatsConnection) -> str:
    return f"{connection.config.prefix}-present"


def _joined(machines: Collection[str]) -> str:
    return " and ".join(machines)
