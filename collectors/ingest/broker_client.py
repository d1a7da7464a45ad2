"""The server's connection to its MQTT broker: TLS, passwords, and a login check."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Self, TypeVar

from collectors.ingest.ingest_config import MqttConfig
from probes.wire.report import CREDENTIAL_REFUSED_CODES

if TYPE_CHECKING:
    # Imported on use: every command that reads settings would wait for it.
    import paho.mqtt.client as paho
    from paho.mqtt.reasoncodes import ReasonCode

ANSWER_S = 10.0
_CHECK_S = 5.0
# Messages that paho has read and the event loop has not seen yet.
_MAX_HANDED_OVER = 1_000

_T = TypeVar("_T")


class Login(Enum):
    """How a broker answers a CONNECT (MQTT 3.1.1, section 3.2.2.3)."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    AWAY = "away"


class BrokerAway(Exception):
    """The broker does not answer, refuses, or has ended the connection."""


class LoginRefused(BrokerAway):
    """The broker does not accept this user name and password."""


class BrokerConnection:
    """One connection to the broker: `async with BrokerConnection(…) as broker:`.

    paho reads and writes in a thread of its own; `on_message` is called in the event
    loop with a message's topic and payload. The thread stops reading while the event
    loop is behind, so that the broker waits instead of this process's memory filling.
    Entering raises `BrokerAway` or `OSError` if the connection cannot be made.
    """

    def __init__(
        self,
        config: MqttConfig,
        username: str,
        password: str | None,
        *,
        client_id: str,
        keep_session: bool = False,
        on_message: Callable[[str, bytes], None] | None = None,
        answer_s: float = ANSWER_S,
    ) -> None:
        import paho.mqtt.client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self._config, self._answer_s = config, answer_s
        self._on_message = on_message
        self._room = threading.BoundedSemaphore(_MAX_HANDED_OVER)
        self._closing = threading.Event()
        self._closed = asyncio.Event()
        self._close_reason = ""
        self._pending: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=not keep_session,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.username_pw_set(username, password)
        self._client.connect_timeout = answer_s
        self._client.on_connect = self._paho_connected
        self._client.on_disconnect = self._paho_disconnected
        self._client.on_message = self._paho_message
        self._client.on_subscribe = self._paho_subscribed
        self._client.on_publish = self._paho_published

    async def __aenter__(self) -> Self:
        config = self._config
        self._loop = asyncio.get_running_loop()
        self._connack: asyncio.Future[None] = self._loop.create_future()
        if config.tls:
            authority = None if config.ca_file is None else str(config.ca_file)
            self._client.tls_set_context(ssl.create_default_context(cafile=authority))
        await asyncio.to_thread(
            self._client.connect, config.host, config.port, config.keepalive_s
        )
        self._client.loop_start()
        try:
            await self._answered(self._connack, "the connection")
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def subscribe(self, topic: str) -> None:
        """Subscribes with QoS 1. Raises `BrokerAway` if the broker refuses."""
        status, packet_id = self._client.subscribe(topic, qos=1)
        codes = await self._answer_to(status, packet_id, f"the subscription to {topic}")
        if any(code.is_failure for code in codes):
            raise BrokerAway(f"the broker refuses the subscription to {topic}")

    async def publish(self, topic: str, payload: bytes) -> None:
        """Sends with QoS 0; returns when the message has left. Raises `BrokerAway`."""
        sent = self._client.publish(topic, payload, qos=0)
        await self._answer_to(sent.rc, sent.mid, "a message")

    async def wait_closed(self) -> str:
        """Waits until the connection ends, and returns the reason."""
        await self._closed.wait()
        return self._close_reason

    async def _answer_to(
        self, status: int, packet_id: int | None, what: str
    ) -> list[ReasonCode]:
        if status != 0 or packet_id is None:  # MQTT_ERR_SUCCESS
            raise BrokerAway(f"{what} could not be sent (paho's error {status})")
        # Answers come through the event loop, so none can be here before this.
        future: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._pending[packet_id] = future
        try:
            return await self._answered(future, what)
        finally:
            self._pending.pop(packet_id, None)

    async def _answered(self, future: asyncio.Future[_T], what: str) -> _T:
        try:
            return await asyncio.wait_for(future, self._answer_s)
        except TimeoutError:
            why = f"the broker did not answer {what} within {self._answer_s:g} s"
            raise BrokerAway(why) from None

    async def _close(self) -> None:
        self._closing.set()
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    # In the event loop.

    def _connected(self, code: ReasonCode) -> None:
        if self._connack.done():
            return
        if not code.is_failure:
            self._connack.set_result(None)
        elif code.value in CREDENTIAL_REFUSED_CODES:
            self._connack.set_exception(LoginRefused(str(code)))
        else:
            self._connack.set_exception(BrokerAway(str(code)))

    def _disconnected(self, reason: str) -> None:
        self._close_reason = reason
        self._closed.set()
        waiting: list[asyncio.Future[Any]] = [self._connack, *self._pending.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(BrokerAway(reason))

    def _answer(self, packet_id: int, codes: list[ReasonCode]) -> None:
        future = self._pending.get(packet_id)
        if future is not None and not future.done():
            future.set_result(codes)

    def _message(self, topic: str, payload: bytes) -> None:
        self._room.release()
        if self._on_message is not None:
            self._on_message(topic, payload)

    # In paho's thread.

    def _hand_over(self, call: Callable[..., None], *arguments: Any) -> None:
        # The event loop may have ended.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _paho_connected(
        self, _: paho.Client, __: Any, ___: Any, code: Any, ____: Any
    ) -> None:
        self._hand_over(self._connected, code)

    def _paho_disconnected(
        self, _: paho.Client, __: Any, ___: Any, code: Any, ____: Any
    ) -> None:
        self._hand_over(self._disconnected, f"disconnected: {code}")

    def _paho_subscribed(
        self, _: paho.Client, __: Any, packet_id: int, codes: Any, ___: Any
    ) -> None:
        self._hand_over(self._answer, packet_id, codes)

    def _paho_published(
        self, _: paho.Client, __: Any, packet_id: int, ___: Any, ____: Any
    ) -> None:
        self._hand_over(self._answer, packet_id, [])

    def _paho_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        while not self._room.acquire(timeout=0.1):
            if self._closing.is_set():
                return
        self._hand_over(self._message, message.topic, message.payload)


async def check_login(config: MqttConfig, username: str, password: str) -> Login:
    """Whether the broker accepts this user now. `AWAY` if it does not answer, or its
    certificate is not trusted."""
    connection = BrokerConnection(
        config, username, password, client_id=username, answer_s=_CHECK_S
    )
    try:
        async with connection:
            return Login.ACCEPTED
    except LoginRefused:
        return Login.REFUSED
    except (BrokerAway, OSError):
        return Login.AWAY
