"""Reports over MQTT: `towpath/v1/reports/<agent>`, QoS 1, TLS, a persistent session.

The broker's acknowledgement means only that the broker has a message. What counts is
the `Receipt` on `towpath/v1/acks/<agent>`, which the server sends once its journal has
the reports. A report that is in no receipt in time stays in the spool and is sent
again. The library (paho) works in its own thread on every system; its callbacks hand
over to the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import random
import sys
import threading
from collections.abc import Sequence
from typing import Any, Self

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from probes.agent.report_delivery import CredentialRefused, Later, NotTaken
from probes.agent.settings import Settings
from probes.agent.spool_rows import SpooledReport
from probes.platforms.system_trust import trust
from probes.wire.failure import Outcome
from probes.wire.outcome_text import OUTCOME_TEXT
from probes.wire.report import (
    ACKS_TOPIC,
    CREDENTIAL_REFUSED_CODES,
    REPORTS_TOPIC,
    AgentCredential,
    Receipt,
    ReportRefusal,
)
from probes.wire.socket_errors import outcome_of

_log = logging.getLogger(__name__)

# A ping in each direction every five minutes costs less than 100 kB a day.
KEEPALIVE_S = 300
CONNECT_S = 15.0
# After an outage of the broker, of any length, laptops come back over a minute or more;
# later tries are further apart.
FIRST_BACK_S = (5, 125)
LAST_BACK_S = 600
# A laptop that has just enrolled may connect before the broker knows it, so the first
# tries after a refusal are soon; each wait is about twice the one before.
REFUSED_BACK_S = 2
MAX_RECEIPT_BYTES = 200_000
MAX_LATE = 5_000


class MqttPublisher:
    """A `Publisher` over MQTT. `async with publisher:` keeps the connection."""

    def __init__(
        self,
        settings: Settings,
        credential: AgentCredential,
        *,
        back_s: tuple[int, int] = FIRST_BACK_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        self._settings, self._agent = settings, credential.agent
        self._connect_s = connect_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connected = False
        self._changed = asyncio.Event()
        self._accepted: dict[str, None] = {}
        self._refused: dict[str, ReportRefusal] = {}
        self._body_refusal: ReportRefusal | None = None
        self._policy = ""
        self._trouble = ""
        self._denied = self._came_back = False
        self._back_s, self._refusals = back_s, 0
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=credential.agent,
            clean_session=False,
            protocol=paho.MQTTv311,
        )
        self.use_credential(credential)
        self._client.reconnect_delay_set(random.randint(*back_s), LAST_BACK_S)
        # Unconfirmed reports are in the spool; the library keeps no second queue.
        self._client.max_queued_messages_set(1)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def use_credential(self, credential: AgentCredential) -> None:
        """Signs in with that at the next connection."""
        self._client.username_pw_set(credential.agent, credential.secret)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if self._settings.mqtt.tls:
            self._client.tls_set_context(trust(self._settings.ca_file))
        self._client.connect_timeout = self._connect_s
        self._client.connect_async(
            self._settings.mqtt.host, self._settings.mqtt.port, KEEPALIVE_S
        )
        self._client.loop_start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        self._loop, loop = None, asyncio.get_running_loop()
        stopped = asyncio.Event()

        def stop() -> None:
            self._client.loop_stop()
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stopped.set)

        # The library's thread may be waiting for a connection that nobody answers. Wait
        # for it only briefly; as a daemon thread it does not keep the process alive.
        threading.Thread(target=stop, name="mqtt-stop", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await stopped.wait()

    async def send(self, reports: Sequence[SpooledReport]) -> Receipt:
        """Publishes `reports` and waits for the receipt. Raises as every `Publisher`
        does."""
        ids = {report.id for report in reports}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._connect_s):
                while not self._connected and not self._denied:
                    await self._wait_for_change()
        if self._denied:
            raise CredentialRefused(self._trouble)
        if not self._connected:
            raise Later(self._trouble or f"{self._broker} does not answer")
        self._body_refusal = None
        body = b"[" + b",".join(report.body for report in reports) + b"]"
        sent = self._client.publish(
            f"{REPORTS_TOPIC}/{self._agent}", gzip.compress(body, 6), qos=1
        )
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            error = paho.error_string(sent.rc)
            raise Later(f"{self._broker} did not accept the reports: {error}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.ack_s):
                while self._body_refusal is None and ids - self._confirmed():
                    await self._wait_for_change()
        if self._body_refusal is not None:
            raise NotTaken(self._body_refusal.why)
        receipt = Receipt(
            tuple(self._accepted), tuple(self._refused.values()), self._policy
        )
        confirmed = ids & self._confirmed()
        self._accepted.clear()
        self._refused.clear()
        if not confirmed:
            raise Later(f"no receipt came within {self._settings.ack_s} s")
        return receipt

    def came_back(self) -> bool:
        """True once after the connection was lost and is there again."""
        came_back, self._came_back = self._came_back, False
        return came_back

    @property
    def _broker(self) -> str:
        return f"the broker {self._settings.mqtt.host}:{self._settings.mqtt.port}"

    def _confirmed(self) -> set[str]:
        return set(self._accepted) | set(self._refused)

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    # In the event loop.

    def _add_receipt(self, payload: bytes) -> None:
        """Adds a receipt, perhaps one for an earlier try."""
        receipt = decode_receipt(payload)
        if receipt is None:
            _log.warning("receipt_unreadable bytes=%d", len(payload))
            return
        self._policy = receipt.policy or self._policy
        for id in receipt.accepted:
            self._accepted[id] = None
        for refusal in receipt.refused:
            if refusal.id:
                self._refused[refusal.id] = refusal
            else:
                self._body_refusal = refusal
        while len(self._accepted) > MAX_LATE:
            self._accepted.pop(next(iter(self._accepted)))
        while len(self._refused) > MAX_LATE:
            self._refused.pop(next(iter(self._refused)))
        self._changed.set()

    def _set_connected(self) -> None:
        self._came_back = bool(self._trouble)
        self._trouble, self._denied = "", False
        self._connected = True
        self._changed.set()

    def _set_refused(self, trouble: str, denied: bool) -> None:
        self._connected = False
        self._trouble, self._denied = trouble, denied
        self._changed.set()

    def _set_disconnected(self, trouble: str) -> None:
        self._connected = False
        # The broker disconnects after a refusal. The refusal is the better reason.
        if not self._denied:
            self._trouble = trouble

    # In paho's thread.

    def _hand_over(self, call: Any, *arguments: Any) -> None:
        loop = self._loop
        if loop is not None:
            # The loop may be closed by now; then nobody waits for this.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(call, *arguments)

    def _on_connect(
        self, client: paho.Client, _: Any, __: Any, code: Any, ___: Any
    ) -> None:
        if code.is_failure:
            denied = code.value in CREDENTIAL_REFUSED_CODES
            what = "this laptop's credential" if denied else "the connection"
            trouble = f"{self._broker} refused {what}: {code}"
            self._refusals += 1
            wait_s = refused_wait_s(self._refusals, random.random())
            client.reconnect_delay_set(wait_s, LAST_BACK_S)
            self._hand_over(self._set_refused, trouble, denied)
            return
        self._refusals = 0
        client.reconnect_delay_set(random.randint(*self._back_s), LAST_BACK_S)
        client.subscribe(f"{ACKS_TOPIC}/{self._agent}", qos=1)
        self._hand_over(self._set_connected)

    def _on_connect_fail(self, _: paho.Client, __: Any) -> None:
        # The library passes no reason, but calls this while it handles the error.
        error = sys.exc_info()[1]
        outcome = Outcome.UNREACHABLE if error is None else outcome_of(error)
        self._hand_over(
            self._set_refused, f"{self._broker} {OUTCOME_TEXT[outcome]}", False
        )

    def _on_disconnect(
        self, _: paho.Client, __: Any, ___: Any, code: Any, ____: Any
    ) -> None:
        trouble = f"{self._broker} closed the connection: {code}"
        self._hand_over(self._set_disconnected, trouble)

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        if len(message.payload) <= MAX_RECEIPT_BYTES:
            self._hand_over(self._add_receipt, bytes(message.payload))


def refused_wait_s(refusals: int, chance: float) -> int:
    """Returns the whole seconds until the next connection after `refusals` in a row.
    Pure.

    `chance` is uniform in [0, 1).
    """
    wait_s = REFUSED_BACK_S * 2 ** min(refusals - 1, 20)
    return min(1 + int(wait_s * (0.5 + chance)), LAST_BACK_S)


def decode_receipt(payload: bytes) -> Receipt | None:
    """Returns the receipt in `payload`, None if it is none. Pure."""
    try:
        return msgspec.json.decode(payload, type=Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
