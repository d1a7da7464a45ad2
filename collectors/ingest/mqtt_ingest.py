"""`MqttIngest`: the agents' door through an MQTT broker.

Reports come on `towpath/v1/reports/<agent>`; who sent one is the topic's last part,
which the broker's ACL ties to the user name (`broker`). The MQTT library acknowledges
a message as soon as it has it, so its acknowledgement is worth nothing here: what an
agent trusts is the `Receipt` on `towpath/v1/acks/<agent>`, given after the journal has
the reports. Whatever is lost before it (by the broker, by us, by a full queue) the
agent sends again. See docs/decisions/021-mqtt-receipts.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.estate.estate_model import Estate
from collectors.ingest.broker_client import broker_client
from collectors.ingest.gzip_body import GZIP_MAGIC
from collectors.ingest.ingest_config import IngestConfig, MqttConfig
from collectors.ingest.ingest_stats import IngestStats
from collectors.ingest.intake import Intake, NotDurable
from collectors.ingest.laptop_limits import Busy
from collectors.ingest.providers import UNKNOWN
from collectors.ingest.registry import Registry
from collectors.ingest.rejection_reasons import BodyRefused, Reason
from collectors.journal import Append
from probes.wire.clock import WallClock, wall_ms
from probes.wire.report import (
    ACKS_TOPIC,
    MAX_BODY_BYTES,
    READ_VERSIONS,
    REPORTS_TOPIC,
    Receipt,
    ReportRefusal,
)

if TYPE_CHECKING:
    # See `broker_client`.
    import aiomqtt

_MAX_WAITING_BYTES = 64_000_000
_STOP_S = 3.0

log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


class MqttIngest:
    """`async with MqttIngest(config, registry, append, …):` takes reports until left,
    and connects again whenever the broker goes away."""

    def __init__(
        self,
        config: IngestConfig,
        registry: Registry,
        append: Append,
        *,
        estate: Callable[[], Estate] = Estate,
        versions: range = READ_VERSIONS,
        now_ms: WallClock = wall_ms,
    ) -> None:
        if config.mqtt is None:
            raise ValueError("ingest.mqtt is not configured")
        self._config: MqttConfig = config.mqtt
        self._registry, self._now_ms = registry, now_ms
        self._intake = Intake(
            config, append, estate=estate, versions=versions, now_ms=now_ms
        )
        self._workers = config.limits.in_flight
        self._waiting: asyncio.Queue[aiomqtt.Message] = asyncio.Queue(
            self._config.max_waiting
        )
        self._waiting_bytes = 0
        self._client: aiomqtt.Client | None = None
        self._tasks = BackgroundTasks()
        self._away = self._leaving = False

    @property
    def stats(self) -> IngestStats:
        return self._intake.stats

    @property
    def connected(self) -> bool:
        """Whether the broker is there and has taken the subscription."""
        return self._client is not None

    async def __aenter__(self) -> MqttIngest:
        self._tasks.start(self._stay_connected(), "mqtt-ingest")
        self._tasks.start(self._registry.follow(), "mqtt-ingest-registry")
        for number in range(self._workers):
            self._tasks.start(self._work(), f"mqtt-ingest-{number}")
        return self

    async def __aexit__(self, *_: object) -> None:
        # What has arrived gets its receipt if it can; what comes now is sent again.
        self._leaving = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self._waiting.join()
        await self._tasks.stop()

    async def _stay_connected(self) -> None:
        wait_s = self._config.retry_min_s
        while True:
            try:
                async with self._connection() as client:
                    await self._subscribe(client)
                    self._client, self._away = client, False
                    wait_s = self._config.retry_min_s
                    log.info("broker connected", broker=self._broker)
                    # Messages go to `_arrived`; this ends with the connection.
                    async for _ in client.messages:
                        pass
            # Whatever the library raises, the way out is to connect again.
            except Exception as error:  # noqa: BLE001
                if not self._away:
                    log.warning(
                        "broker is away, trying again until it is there",
                        broker=self._broker,
                        error=str(error),
                    )
                self._away = True
            finally:
                self._client = None
            # Jittered: a broker that comes back is not met by everyone at once.
            await asyncio.sleep(wait_s * random.uniform(0.5, 1))
            wait_s = min(wait_s * 2, self._config.retry_max_s)

    @property
    def _broker(self) -> str:
        return f"{self._config.host}:{self._config.port}"

    def _connection(self) -> aiomqtt.Client:
        config = self._config
        arrived = self._arrived

        class Straight(asyncio.Queue["aiomqtt.Message"]):
            """Hands messages on at once: the library's own queue would log each
            message it drops, and costs a task for each one it gives out."""

            def put_nowait(self, item: aiomqtt.Message) -> None:
                arrived(item)

        return broker_client(
            config,
            config.username,
            self._password(),
            identifier=config.client_id,
            clean_session=False,
            keepalive=config.keepalive_s,
            queue_type=Straight,
        )

    def _password(self) -> str | None:
        path = self._config.password_file
        return None if path is None else path.read_text(encoding="utf-8").strip()

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        # On every connection: a broker may have lost the session.
        group = self._config.shared_group
        topic = f"$share/{group}/{REPORTS_TOPIC}/+" if group else f"{REPORTS_TOPIC}/+"
        granted = await client.subscribe(topic, qos=1)
        if any(getattr(code, "value", code) >= 0x80 for code in granted):
            raise ValueError(f"the broker refuses the subscription to {topic}")

    def _arrived(self, message: aiomqtt.Message) -> None:
        size = len(message.payload) if isinstance(message.payload, bytes) else 0
        if self._leaving:
            return
        name = _agent_of(message)
        if self._registry.enrolled(name) is None:
            self.stats.unauthorise(Reason.CREDENTIAL)
            return
        try:
            # Paid for here, so that one agent's messages cannot fill the queue of all.
            self._intake.begin(name, size)
        except Busy:
            return
        if self._waiting.full() or self._waiting_bytes + size > _MAX_WAITING_BYTES:
            why = "too many messages wait"
            self._intake.turn_away(Busy(Reason.BUSY, why, 0))
            return
        self._waiting_bytes += size
        self._waiting.put_nowait(message)

    async def _work(self) -> None:
        while True:
            message = await self._waiting.get()
            try:
                await self._take(message)
            except Exception as error:
                # One message must not end the others; the agent sends it again.
                self.stats.failures += 1
                log.exception("a message could not be handled", error=repr(error))
            finally:
                self._waiting.task_done()

    async def _take(self, message: aiomqtt.Message) -> None:
        body = message.payload if isinstance(message.payload, bytes) else b""
        self._waiting_bytes -= len(body)
        name = _agent_of(message)
        sender = self._registry.enrolled(name)
        if sender is None:
            # Revoked while its message waited.
            self.stats.unauthorise(Reason.CREDENTIAL)
            return
        try:
            content = self._unpacked(body, name)
            receipt = await self._intake.take(content, sender, UNKNOWN, name)
        except BodyRefused as refused:
            receipt = Receipt((), (ReportRefusal("", f"{refused.reason}: {refused}"),))
        except (Busy, NotDurable):
            # No receipt: the agent keeps the reports and sends them again.
            return
        self._registry.seen(name, self._now_ms())
        await self._give(name, receipt)

    def _unpacked(self, body: bytes, agent: str) -> bytes:
        """The content of a message."""
        if len(body) > MAX_BODY_BYTES:
            why = f"the message is larger than {MAX_BODY_BYTES} bytes"
            self._intake.refuse(Reason.TOO_LARGE, b"")
            raise BodyRefused(Reason.TOO_LARGE, why)
        if not body.startswith(GZIP_MAGIC):
            return body
        return self._intake.unpack(body, agent)

    async def _give(self, agent: str, receipt: Receipt) -> None:
        client = self._client
        if client is None:
            return
        # QoS 0: an agent that is gone sends again, and is told then.
        import aiomqtt

        with contextlib.suppress(aiomqtt.MqttError):
            await client.publish(f"{ACKS_TOPIC}/{agent}", _encode(receipt), qos=0)


def _agent_of(message: aiomqtt.Message) -> str:
    """Who sent it: the broker's ACL ties the topic's last part to the user name."""
    return message.topic.value.rpartition("/")[2]
