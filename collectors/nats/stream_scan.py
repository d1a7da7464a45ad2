"""Reads all batches that the streams of a journal hold now, read or unread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from nats.js import errors as jetstream_errors

from collectors.batch import Batch
from collectors.journal.frame import Damaged, Newer
from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.stream_message import batches_of

_AT_ONCE = 64


async def held_batches(connection: NatsConnection) -> AsyncIterator[Batch]:
    """The batches of all logs. What is damaged or newer than this version is left
    out. Raises what the client raises."""
    streams = JournalStreams(connection)
    for log in await streams.logs():
        stream = streams.stream(log)
        state = (await connection.jetstream.stream_info(stream)).state
        if not state.messages:
            # One that has never had any begins at 0, which is no message's number.
            continue
        for first in range(state.first_seq, state.last_seq + 1, _AT_ONCE):
            after = min(first + _AT_ONCE, state.last_seq + 1)
            asked = [_message(connection, stream, n) for n in range(first, after)]
            for data in await asyncio.gather(*asked):
                with contextlib.suppress(Damaged, Newer):
                    for batch in batches_of(data) if data else ():
                        yield batch


async def _message(connection: NatsConnection, stream: str, sequence: int) -> bytes:
    """Empty if it is not there any more."""
    with contextlib.suppress(jetstream_errors.NotFoundError):
        return (await connection.jetstream.get_msg(stream, sequence)).data or b""
    return b""
