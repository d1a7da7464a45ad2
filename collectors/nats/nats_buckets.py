"""The key-value buckets of NATS JetStream."""

from __future__ import annotations

from nats.js import errors as jetstream_errors
from nats.js.api import KeyValueConfig
from nats.js.kv import KeyValue

from collectors.nats.journal_streams import JournalStreams
from collectors.nats.nats_connection import NatsConnection


async def open_bucket(
    connection: NatsConnection, name: str, kept_s: float | None = None
) -> KeyValue:
    """Makes the bucket if it is not there yet. `kept_s`: how long entries are kept that
    nothing renews; for ever without. Raises what the client raises."""
    if f"KV_{name}" not in JournalStreams(connection).others:
        # Nothing would watch it, and the documented permissions would lack it.
        raise ValueError(f"bucket {name}: expected one of journal_streams.BUCKETS")
    jetstream = connection.jetstream
    try:
        return await jetstream.key_value(name)
    except jetstream_errors.NotFoundError:
        replicas = connection.config.replicas
        config = KeyValueConfig(bucket=name, ttl=kept_s, replicas=replicas)
        return await jetstream.create_key_value(config)
