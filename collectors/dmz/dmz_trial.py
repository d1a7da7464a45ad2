"""Tries the nats-server beside a DMZ node, with what the node may do there: for
`towpath check`."""

from __future__ import annotations

import contextlib

import msgspec
from nats import errors
from nats.js import errors as jetstream_errors

from collectors.dmz.dmz_messages import bucket_name
from collectors.dmz.published_registry import HEAD, PublishedHead
from collectors.nats.nats_config import NatsConfig
from collectors.nats.nats_connection import NatsConnection, connected_once
from collectors.nats.nats_errors import NATS_FAILURES
from probes.wire.clock import wall_ms

_ANSWER_S = 2.0
# The inside says every ten seconds that it is there.
_OLD_S = 120.0
_CLOCK_S = 30.0
_NEVER = {"Nats-Expected-Last-Sequence": str((1 << 62) - 1)}


async def try_list(config: NatsConfig) -> list[str]:
    """Sentences if the list of laptops is not there or old, or if the node could write
    it. That the server cannot be reached at all is reported already."""
    connection = NatsConnection(config, "check")
    found: list[str] = []
    with contextlib.suppress(*NATS_FAILURES, ValueError):
        async with connected_once(connection):
            found += await _judge_list(connection)
            if await _may_write(connection):
                found.append(
                    f"{', '.join(config.servers)}: this node may write the list of "
                    "laptops: expected permissions as in docs/operator.md"
                )
    return found


async def _judge_list(connection: NatsConnection) -> list[str]:
    prefix = connection.config.prefix
    stream, subject = f"KV_{bucket_name(prefix)}", f"$KV.{bucket_name(prefix)}.{HEAD}"
    jetstream = connection.jetstream
    try:
        message = await jetstream.get_msg(stream, subject=subject)
    except jetstream_errors.NotFoundError:
        return [
            "the inside has published no list of laptops here yet: expected "
            "ingest.dmz_nodes there"
        ]
    head = msgspec.json.decode(message.data or b"", type=PublishedHead)
    age_s = wall_ms() / 1000 - head.at_ms / 1000
    if age_s > _OLD_S:
        return [
            f"the list of laptops is {age_s:.0f} s old: the inside does not reach this "
            "server, or the two clocks differ"
        ]
    if age_s < -_CLOCK_S:
        return [
            f"the clock of the inside is {-age_s:.0f} s ahead of this machine's: set "
            "the clocks (NTP)"
        ]
    return []


async def _may_write(connection: NatsConnection) -> bool:
    """Whether the server would let it. Nothing is written: the sequence that is
    expected never comes."""
    subject = f"$KV.{bucket_name(connection.config.prefix)}.{HEAD}"
    try:
        await connection.jetstream.publish(
            subject, b"", timeout=_ANSWER_S, headers=_NEVER
        )
    except jetstream_errors.APIError:
        return True
    except (errors.Error, TimeoutError):
        return False
    return True
