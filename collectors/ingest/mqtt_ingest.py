"""`MqttIngest`: receives agents' reports through an MQTT broker.

Reports arrive on `towpath/v1/reports/<agent>`. The topic's last part names the sender,
because the broker's ACL ties it to the user name (`BrokerFiles`). MQTT acknowledges a
message to the broker as soon as paho has read it, so an agent does not rely on that: it
relies on the `Receipt` on `towpath/v1/acks/<agent>`, which is sent once the reports are
in the journal. The agent sends again whatever is lost before then, whether the broker,
this process or a full queue lost it. See docs/decisions/021-mqtt-receipts.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from collectors.background_tasks import BackgroundTasks
from collectors.deletion_clock import DeletionBound, as_it_is
from collectors.estate.estate_model import Estate
from collectors.failure_log import FailureLog
from collectors.ingest.broker_client import BrokerAway, BrokerConnection
from collectors.ingest.gzip_body import GZIP_MAGIC
from collectors.ingest.ingest_config import IngestConfig, MqttConfig
from collectors.ingest.ingest_stats import IngestStats
from collectors.ingest.intake import NotDurable, ReportIntake
from collectors.ingest.laptop_limits import Busy
from collectors.ingest.laptop_policies import Freezes, LaptopPolicies, no_freezes
from collectors.ingest.providers import UNKNOWN
from collectors.ingest.registry import Registry
from collectors.ingest.rejection_reasons import BodyRejected, RejectionReason
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

_MAX_WAITING_BYTES = 64_000_000
_STOP_S = 3.0

_log = structlog.get_logger()
_encode = msgspec.json.Encoder().encode


class _Message(NamedTuple):
    agent: str
    body: bytes


class MqttIngest:
    """`async with MqttIngest(config, registry, append, …):` receives reports until it
    is left. It reconnects whenever the broker goes away."""

    def __init__(
        self,
        config: IngestConfig,
        registry: Registry,
        append: Append,
        *,
        estate: Callable[[], Estate] = Estate,
        versions: range = READ_VERSIONS,
        now_ms: WallClock = wall_ms,
        freezes: Freezes = no_freezes,
        bounded: DeletionBound = as_it_is,
    ) -> None:
        if config.mqtt is None:
            raise ValueError("ingest.mqtt is not configured")
        self._config: MqttConfig = config.mqtt
        self._registry, self._now_ms = registry, now_ms
        self._intake = ReportIntake(
            config,
            append,
            estate=estate,
            versions=versions,
            now_ms=now_ms,
            measured=registry.mark_measured,
            bounded=bounded,
        )
        self._policies = LaptopPolicies(config, estate, now_ms, freezes)
        self._workers = config.limits.in_flight
        self._waiting: asyncio.Queue[_Message] = asyncio.Queue(self._config.max_waiting)
        self._waiting_bytes = 0
        self._connection: BrokerConnection | None = None
        self._tasks = BackgroundTasks()
        self._leaving = False
        self._failures = FailureLog("broker_away", level="warning")

    @property
    def stats(self) -> IngestStats:
        return self._intake.stats

    @property
    def connected(self) -> bool:
        """True while the broker is connected and has accepted the subscription."""
        return self._connection is not None

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
                async with self._connect() as connection:
                    # On every connection: a broker may have lost the session.
                    await connection.subscribe(self._topic)
                    self._connection = connection
                    self._failures.recovered()
                    wait_s = self._config.retry_min_s
                    _log.info("broker_connected", broker=self._broker)
                    raise BrokerAway(await connection.wait_closed())
            # Reconnect after any failure, including one of the library.
            except Exception as error:  # noqa: BLE001
                self._failures.failed(error, broker=self._broker)
            finally:
                self._connection = None
            # Jitter, so that clients do not all return to a restarted broker at once.
            await asyncio.sleep(wait_s * random.uniform(0.5, 1))
            wait_s = min(wait_s * 2, self._config.retry_max_s)

    @property
    def _broker(self) -> str:
        return f"{self._config.host}:{self._config.port}"

    @property
    def _topic(self) -> str:
        group = self._config.shared_group
        return f"$share/{group}/{REPORTS_TOPIC}/+" if group else f"{REPORTS_TOPIC}/+"

    def _connect(self) -> BrokerConnection:
        config = self._config
        path = config.password_file
        return BrokerConnection(
            config,
            config.username,
            None if path is None else path.read_text(encoding="utf-8").strip(),
            client_id=config.client_id,
            keep_session=True,
            on_message=self._receive,
        )

    def _receive(self, topic: str, body: bytes) -> None:
        if self._leaving:
            return
        # The broker's ACL ties the topic's last part to the user name.
        message = _Message(topic.rpartition("/")[2], body)
        if self._registry.enrolled(message.agent) is None:
            self.stats.count_unauthorised(RejectionReason.CREDENTIAL)
            return
        try:
            # Charged before it is queued, so that one agent cannot fill the queue.
            self._intake.begin(message.agent, len(body))
        except Busy:
            return
        if self._waiting.full() or self._waiting_bytes + len(body) > _MAX_WAITING_BYTES:
            why = "too many messages wait"
            self._intake.count_busy(Busy(RejectionReason.BUSY, why, 0))
            return
        self._waiting_bytes += len(body)
        self._waiting.put_nowait(message)

    async def _work(self) -> None:
        while True:
            message = await self._waiting.get()
            try:
                await self._handle(message)
            # One message must not end the others; the agent sends it again.
            except Exception as error:  # noqa: BLE001
                self.stats.failures += 1
                _log.exception("mqtt_message_failed", error=repr(error))
            finally:
                self._waiting.task_done()

    async def _handle(self, message: _Message) -> None:
        self._waiting_bytes -= len(message.body)
        sender = self._registry.enrolled(message.agent)
        if sender is None:
            # Revoked while its message waited.
            self.stats.count_unauthorised(RejectionReason.CREDENTIAL)
            return
        try:
            content = self._unpack(message)
            receipt = await self._intake.accept(content, sender, UNKNOWN, message.agent)
        except BodyRejected as refused:
            receipt = Receipt((), (ReportRefusal("", f"{refused.reason}: {refused}"),))
        except (Busy, NotDurable):
            # No receipt: the agent keeps the reports and sends them again.
            return
        self._registry.mark_seen(message.agent, self._now_ms())
        receipt = msgspec.structs.replace(
            receipt, policy=self._policies.version(sender)
        )
        await self._send_receipt(message.agent, receipt)

    def _unpack(self, message: _Message) -> bytes:
        if len(message.body) > MAX_BODY_BYTES:
            why = f"the message is larger than {MAX_BODY_BYTES} bytes"
            self._intake.count_refused(RejectionReason.TOO_LARGE, b"")
            raise BodyRejected(RejectionReason.TOO_LARGE, why)
        if not message.body.startswith(GZIP_MAGIC):
            return message.body
        return self._intake.unpack(message.body, message.agent)

    async def _send_receipt(self, agent: str, receipt: Receipt) -> None:
        connection = self._connection
        if connection is None:
            return
        # QoS 0: an agent that has gone sends again and gets a receipt then.
        with contextlib.suppress(BrokerAway):
            await connection.publish(f"{ACKS_TOPIC}/{agent}", _encode(receipt))
