"""What was learnt of each device, in a NATS key-value bucket for the next poller."""

from __future__ import annotations

from nats.js import errors as jetstream_errors
from nats.js.kv import KeyValue

from collectors.failure_log import FailureLog
from collectors.nats.nats_buckets import open_bucket
from collectors.nats.nats_connection import NatsConnection
from collectors.nats.nats_errors import NATS_FAILURES

_KEPT_S = 30 * 86_400.0


class LearntBucket:
    """A `LearntStore`. A failure costs the next poller some packets, and is logged
    once."""

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection
        self._bucket: KeyValue | None = None
        self._failures = FailureLog("learnt_state_not_shared", level="warning")

    async def fetch(self, device: str) -> bytes | None:
        try:
            entry = await (await self._open()).get(_key(device))
        except jetstream_errors.KeyNotFoundError:
            return None
        except NATS_FAILURES as error:
            self._failures.failed(self._connection.sentence(error))
            return None
        self._failures.recovered()
        return entry.value

    async def publish(self, device: str, body: bytes) -> bool:
        try:
            await (await self._open()).put(_key(device), body)
        except NATS_FAILURES as error:
            self._failures.failed(self._connection.sentence(error))
            return False
        self._failures.recovered()
        return True

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            name = f"{self._connection.config.prefix}-learnt"
            self._bucket = await open_bucket(self._connection, name, _KEPT_S)
        return self._bucket


def _key(device: str) -> str:
    """Dots part the subjects of NATS."""
    return device.replace(".", "=")
