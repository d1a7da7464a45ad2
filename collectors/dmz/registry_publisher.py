"""`RegistryPublisher`: the inside publishes to a DMZ node's server what the node must
know: parts of the registry, what laptops are to measure and to be told, stop orders,
and a part of the estate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from nats.js import errors as jetstream_errors
from nats.js.kv import KeyValue

from collectors.dmz.dmz_messages import bucket_name
from collectors.dmz.published_registry import (
    ESTATE,
    FREEZES,
    HEAD,
    INCIDENTS,
    ORDERS,
    POLICY,
    PublishedHead,
    estate_part,
    have_lost_laptops,
    incidents_part,
    laptop_keys,
    parts_of,
    policy_part,
)
from collectors.estate.estate_model import Estate
from collectors.failure_log import FailureLog
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.registry import Registry
from collectors.nats.nats_buckets import open_bucket
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES
from probes.wire.clock import MonotonicClock, WallClock, steady_s
from probes.wire.policy import Incident, SpeedTestFreeze

_LOOK_S = 1.0
_HEAD_S = 10.0


class PublishedSources(NamedTuple):
    """What is published beside the registry. `orders` returns the signed stop orders
    of every ring at a time, `incidents` the known ones by site (blocking), which name
    nothing but ids, and `freezes` the times without speed tests."""

    estate: Callable[[], Estate]
    orders: Callable[[int], tuple[str, ...]]
    policy: PolicyConfig = PolicyConfig()
    incidents: Callable[[], Mapping[str, Sequence[Incident]]] = dict
    freezes: Callable[[int], tuple[SpeedTestFreeze, ...]] = lambda now_ms: ()


class RegistryPublisher:
    """`published_ms`: when everything was there last, by this machine; 0: never."""

    def __init__(
        self,
        connection: NatsConnection,
        registry: Registry,
        sources: PublishedSources,
        now_ms: WallClock,
        now_s: MonotonicClock = steady_s,
    ) -> None:
        self._connection, self._registry = connection, registry
        self._sources = sources
        self._policy = policy_part(sources.policy)
        self._now_ms, self._now_s = now_ms, now_s
        self._name = bucket_name(connection.config.prefix)
        self._bucket: KeyValue | None = None
        # What the bucket has, by key, as far as this process knows.
        self._published: dict[str, bytes] = {}
        self._generation = -1
        self._of: Estate | None = None
        self._revision = 0
        self._head_s = float("-inf")
        self.published_ms = 0
        self._publishing = asyncio.Lock()
        self._failures = FailureLog("registry_not_published", "registry_published")
        connection.listeners.add(self._forget)

    async def run(self) -> None:
        """Publishes what changes, until cancelled."""
        while True:
            try:
                if self._connection.is_connected:
                    await self.publish()
                    self._failures.recovered()
            except NATS_FAILURES as error:
                self._failures.failed(self._connection.sentence(error))
            await asyncio.sleep(_LOOK_S)

    async def publish(self) -> int:
        """Publishes what has changed, and returns the revision of the bucket that has
        it. Raises what the client raises."""
        async with self._publishing:
            try:
                return await self._put_changes()
            except NATS_FAILURES:
                self._forget()
                raise

    async def _put_changes(self) -> int:
        bucket = await self._open()
        is_due = self._now_s() - self._head_s >= _HEAD_S
        changed = dict(await self._changed_parts(is_due))
        if not changed and not is_due:
            return self._revision
        if have_lost_laptops(self._published, changed):
            # The server would keep what is replaced in its file for days.
            await self._connection.jetstream.purge_stream(f"KV_{self._name}")
            changed, is_due = self._published | changed, True
        puts = [bucket.put(key, body) for key, body in changed.items()]
        revisions = await asyncio.gather(*puts)
        if self._bucket is bucket:
            # Else the connection has ended meanwhile, and all goes out again.
            self._published |= changed
        self._revision = max([self._revision, *revisions])
        if is_due:
            # After the parts: a node that has the head has them too.
            now_ms = self._now_ms()
            self._head_s = self._now_s()
            await bucket.put(HEAD, msgspec.json.encode(PublishedHead(now_ms)))
            self.published_ms = now_ms
        return self._revision

    async def _changed_parts(self, is_due: bool) -> list[tuple[str, bytes]]:
        found: dict[str, bytes] = {}
        sources, now_ms = self._sources, self._now_ms()
        generation, estate = self._registry.generation, sources.estate()
        if generation != self._generation:
            # Of a large council it takes a moment.
            found |= await asyncio.to_thread(parts_of, self._registry.state())
        if estate is not self._of:
            found[ESTATE] = estate_part(estate)
        found[POLICY] = self._policy
        found[ORDERS] = msgspec.json.encode(sources.orders(now_ms))
        found[FREEZES] = msgspec.json.encode(sources.freezes(now_ms))
        if is_due:
            # Reads the file of alerts: not each second.
            known = await asyncio.to_thread(sources.incidents)
            found[INCIDENTS] = incidents_part(known)
        self._generation, self._of = generation, estate
        there = self._published
        return [(key, body) for key, body in found.items() if there.get(key) != body]

    def _forget(self) -> None:
        """Looks again what the bucket has: the server may be another one."""
        self._bucket, self._published = None, {}
        self._generation, self._of, self._revision = -1, None, 0
        self._head_s = float("-inf")

    async def _open(self) -> KeyValue:
        """Opens the bucket. What it had of laptops may be of before an erasure."""
        if self._bucket is None:
            bucket = await open_bucket(self._connection, self._name)
            parts = [_held(bucket, key) for key in laptop_keys()]
            held = await asyncio.gather(*parts)
            self._published = {key: body for key, body in held if body is not None}
            self._bucket = bucket
        return self._bucket


async def _held(bucket: KeyValue, key: str) -> tuple[str, bytes | None]:
    try:
        return key, (await bucket.get(key)).value
    except jetstream_errors.NotFoundError:
        return key, None
