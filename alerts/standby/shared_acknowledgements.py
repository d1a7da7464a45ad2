"""`SharedAcknowledgements`: who handles which alert, from all machines, in a NATS
key-value bucket.

An engineer may acknowledge on the page of any machine, and the engine there may stand
by, be dead or stand still. So the acknowledgement is not written to the file there. It
is put into the bucket, where the first one of an episode counts. The active machine
records new ones in its file, and so in the log; one that takes over reads all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import msgspec
from nats.js import errors as jetstream_errors

from alerts.acknowledgement import record_shared
from alerts.alert import Acknowledgement
from collectors.nats.nats_buckets import open_bucket
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection, connected_once
from collectors.nats.nats_errors import NATS_FAILURES

_T = TypeVar("_T")
# Longer than until a machine takes over, and the files have it then.
_KEPT_S = 7 * 86_400.0


class SharedAcknowledgement(msgspec.Struct, frozen=True):
    """`acknowledged` is of that episode of an alert."""

    episode: str
    acknowledged: Acknowledgement


class NewAcknowledgements(NamedTuple):
    """`last`: the sequence up to which the bucket was read."""

    found: list[SharedAcknowledgement]
    last: int


class SharedAcknowledgements:
    """`with SharedAcknowledgements(connection) as share:` in the event loop; to call it
    blocks, and is for other threads."""

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection
        self._name = f"{connection.config.prefix}-acknowledged"

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    def __exit__(self, *_: object) -> None:
        """The owner of the connection ends it."""

    def __call__(self, episode: str, wanted: Acknowledgement) -> Acknowledgement:
        """Returns the one that counts: `wanted`, or an earlier one of the episode.
        Raises `OSError` if it is not certain that the servers have it."""
        work = self.put(episode, wanted)
        return _told(
            self._connection,
            lambda: asyncio.run_coroutine_threadsafe(work, self._loop).result(),
        )

    async def put(self, episode: str, wanted: Acknowledgement) -> Acknowledgement:
        """As a call. Raises what NATS raises."""
        bucket = await open_bucket(self._connection, self._name, _KEPT_S)
        key = blake2b(episode.encode(), digest_size=16).hexdigest()
        shared = SharedAcknowledgement(episode, wanted)
        try:
            await bucket.create(key, msgspec.json.encode(shared))
        except jetstream_errors.KeyWrongLastSequenceError:
            entry = await bucket.get(key)
            return _decode(entry.value).acknowledged
        return wanted

    async def after(self, sequence: int) -> NewAcknowledgements:
        """What came after that sequence. Raises what NATS raises."""
        stream, jetstream = f"KV_{self._name}", self._connection.jetstream
        try:
            state = (await jetstream.stream_info(stream)).state
        except jetstream_errors.NotFoundError:
            return NewAcknowledgements([], 0)
        if state.last_seq < sequence:
            # It was made again.
            sequence = 0
        found = []
        for at in range(max(sequence + 1, state.first_seq), state.last_seq + 1):
            try:
                message = await jetstream.get_msg(stream, at)
                found.append(_decode(message.data))
            except (jetstream_errors.NotFoundError, msgspec.MsgspecError):
                continue
        return NewAcknowledgements(found, state.last_seq)


class AcknowledgementIntake:
    """Records in the alert engine's file what was shared since `begin`, and before."""

    def __init__(self, shared: SharedAcknowledgements, path: Path) -> None:
        self._shared, self._path = shared, path
        self._last = 0

    def begin(self) -> None:
        """This machine has become active: another one may have been until now."""
        self._last = 0

    async def record_new(self) -> None:
        """What fails is tried again at the next call."""
        with contextlib.suppress(*NATS_FAILURES):
            new = await self._shared.after(self._last)
            for shared in new.found:
                await asyncio.to_thread(
                    record_shared, self._path, shared.episode, shared.acknowledged
                )
            self._last = new.last


def share_once(
    nats: NatsConfig, episode: str, wanted: Acknowledgement
) -> Acknowledgement:
    """As `SharedAcknowledgements`, with a connection for this one."""
    connection = NatsConnection(nats, "acknowledges")

    async def share() -> Acknowledgement:
        async with connected_once(connection):
            return await SharedAcknowledgements(connection).put(episode, wanted)

    return _told(connection, lambda: asyncio.run(share()))


def _told(connection: NatsConnection, work: Callable[[], _T]) -> _T:
    """Raises `OSError` with a sentence for what NATS raises."""
    try:
        return work()
    except NATS_FAILURES as error:
        raise OSError(connection.sentence(error)) from error


def _decode(body: bytes | None) -> SharedAcknowledgement:
    return msgspec.json.decode(body or b"", type=SharedAcknowledgement)
