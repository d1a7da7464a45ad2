"""`RegistryPublisher`: the inside publishes to a DMZ node's server what the node must
know of laptops: parts of the registry, stop orders, and a part of the estate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from nats.js.kv import KeyValue

from collectors.dmz.dmz_messages import bucket_name
from collectors.dmz.published_registry import (
    ESTATE,
    HEAD,
    ORDERS,
    POLICY,
    PublishedHead,
    estate_part,
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

_LOOK_S = 1.0
_HEAD_S = 10.0


class RegistryPublisher:
    """`orders` returns the signed stop orders of every ring."""

    def __init__(
        self,
        connection: NatsConnection,
        registry: Registry,
        estate: Callable[[], Estate],
        orders: Callable[[int], tuple[str, ...]],
        policy: PolicyConfig,
        now_ms: WallClock,
        now_s: MonotonicClock = steady_s,
    ) -> None:
        self._connection, self._registry = connection, registry
        self._estate, self._orders = estate, orders
        self._policy = policy_part(policy)
        self._now_ms, self._now_s = now_ms, now_s
        self._bucket: KeyValue | None = None
        # What the bucket has, by key, as far as this process knows.
        self._published: dict[str, bytes] = {}
        self._generation = -1
        self._of: Estate | None = None
        self._revision = 0
        self._head_s = float("-inf")
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
        changed = dict(await self._changed_parts())
        is_due = self._now_s() - self._head_s >= _HEAD_S
        if not changed and not is_due:
            return self._revision
        bucket = await self._open()
        puts = [bucket.put(key, body) for key, body in changed.items()]
        revisions = await asyncio.gather(*puts)
        if self._bucket is bucket:
            # Else the connection has ended meanwhile, and all goes out again.
            self._published |= changed
        self._revision = max([self._revision, *revisions])
        if is_due:
            # After the parts: a node that has the head has them too.
            head = msgspec.json.encode(PublishedHead(self._now_ms()))
            self._head_s = self._now_s()
            await bucket.put(HEAD, head)
        return self._revision

    async def _changed_parts(self) -> list[tuple[str, bytes]]:
        found: dict[str, bytes] = {}
        generation, estate = self._registry.generation, self._estate()
        if generation != self._generation:
            # Of a large council it takes a moment.
            found |= await asyncio.to_thread(parts_of, self._registry.state())
        if estate is not self._of:
            found[ESTATE] = estate_part(estate)
        found[POLICY] = self._policy
        found[ORDERS] = msgspec.json.encode(self._orders(self._now_ms()))
        self._generation, self._of = generation, estate
        known = self._published
        return [(key, body) for key, body in found.items() if known.get(key) != body]

    def _forget(self) -> None:
        """Publishes everything again: the server may be another one."""
        self._bucket, self._published = None, {}
        self._generation, self._of, self._revision = -1, None, 0
        self._head_s = float("-inf")

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            name = bucket_name(self._connection.config.prefix)
            self._bucket = await open_bucket(self._connection, name)
        return self._bucket
