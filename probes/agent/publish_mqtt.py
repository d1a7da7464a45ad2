"""Reports over MQTT: `towpath/v1/reports/<agent>`, QoS 1, TLS, a persistent session.

The broker's acknowledgement says only that the broker has a message. What counts is
the `Receipt` on `towpath/v1/acks/<agent>`, which the server gives after its journal
has the reports; whatever is not in one in time stays in the spool and is sent again.
The library (paho) works in a thread of its own, as it does on every system; its
callbacks hand over to the event loop.
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

from probes.agent.publish_https import trust
from probes.agent.report_delivery import CredentialRefused, Later, NotTaken
from probes.agent.settings import Settings
from probes.agent.spool_rows import SpooledReport
from probes.diagnosis.outcome_text import OUTCOME_TEXT
from probes.wire.failure import Outcome
from probes.wire.report import (
    ACKS_TOPIC,
    CREDENTIAL_REFUSED_CODES,
    REPORTS_TOPIC,
    AgentCredential,
    Receipt,
    ReportRefusal,
)
from probes.wire.socket_errors import outcome_of

log = logging.getLogger(__name__)

# A ping each way every five minutes costs less than 100 kB a day.
KEEPALIVE_S = 300
CONNECT_S = 15.0
# After a broker's restart, of any length, laptops come back over a minute or more;
# later tries are further apart.
FIRST_BACK_S = (5, 125)
LAST_BACK_S = 600
# A laptop that has just enrolled may come before the broker knows it, so the first
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
        self._news = asyncio.Event()
        self._accepted: dict[str, None] = {}
        self._refused: dict[str, ReportRefusal] = {}
        self._whole: ReportRefusal | None = None
        self._trouble = ""
        self._denied = False
        self._back_s, self._refusals = back_s, 0
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=credential.agent,
            clean_session=False,
            protocol=paho.MQTTv311,
        )
        self._client.username_pw_set(credential.agent, credential.secret)
        self._client.reconnect_delay_set(random.randint(*back_s), LAST_BACK_S)
        # What is unanswered is in the spool; the library keeps no second queue.
        self._client.max_queued_messages_set(1)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

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

        # The library's thread may be within a connection that nobody answers; it is
        # not waited for long, and being a daemon does not keep the process.
        threading.Thread(target=stop, name="mqtt-stop", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await stopped.wait()

    async def send(self, reports: Sequence[SpooledReport]) -> Receipt:
        wanted = {each.id for each in reports}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._connect_s):
                while not self._connected and not self._denied:
                    await self._change()
        if self._denied:
            raise CredentialRefused(self._trouble)
        if not self._connected:
            raise Later(self._trouble or f"{self._broker} does not answer")
        self._whole = None
        payload = gzip.compress(b"[" + b",".join(r.body for r in reports) + b"]", 6)
        sent = self._client.publish(f"{REPORTS_TOPIC}/{self._agent}", payload, qos=1)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            raise Later(f"{self._broker} did not take it: {paho.error_string(sent.rc)}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.ack_s):
                while self._whole is None and wanted - self._named():
                    await self._change()
        if self._whole is not None:
            raise NotTaken(self._whole.why)
        receipt = Receipt(tuple(self._accepted), tuple(self._refused.values()))
        named = wanted & self._named()
        self._accepted.clear()
        self._refused.clear()
        if not named:
            raise Later(f"no receipt came within {self._settings.ack_s} s")
        return receipt

    @property
    def _broker(self) -> str:
        return f"the broker {self._settings.mqtt.host}:{self._settings.mqtt.port}"

    def _named(self) -> set[str]:
        return set(self._accepted) | set(self._refused)

    async def _change(self) -> None:
        self._news.clear()
        await self._news.wait()

    # In the event loop.

    def _came(self, payload: bytes) -> None:
        """A receipt, also of an earlier try: what it names may be forgotten."""
        receipt = decode_receipt(payload)
        if receipt is None:
            log.warning("a receipt was not readable")
            return
        for id in receipt.accepted:
            self._accepted[id] = None
        for refusal in receipt.refused:
            if refusal.id:
                self._refused[refusal.id] = refusal
            else:
                self._whole = refusal
        while len(self._accepted) > MAX_LATE:
            self._accepted.pop(next(iter(self._accepted)))
        while len(self._refused) > MAX_LATE:
            self._refused.pop(next(iter(self._refused)))
        self._news.set()

    def _is_connected(self) -> None:
        self._trouble, self._denied = "", False
        self._connected = True
        self._news.set()

    def _is_away(self, trouble: str, denied: bool) -> None:
        self._connected = False
        self._trouble, self._denied = trouble, denied
        self._news.set()

    def _is_cut(self, trouble: str) -> None:
        self._connected = False
        # A refusal is followed by the end of the connection: the refusal says more.
        if not self._denied:
            self._trouble = trouble

    # In paho's thread.

    def _hand_over(self, call: Any, *arguments: Any) -> None:
        loop = self._loop
        if loop is not None:
            # Closed between the question and the call: nobody is left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(call, *arguments)

    def _on_connect(
        self, client: paho.Client, _: Any, __: Any, code: Any, ___: Any
    ) -> None:
        if code.is_failure:
            denied = code.value in CREDENTIAL_REFUSED_CODES
            what = "this laptop's credential" if denied else "the connection"
            said = f"{self._broker} refused {what}: {code}"
            self._refusals += 1
            wait_s = refused_wait_s(self._refusals, random.random())
            client.reconnect_delay_set(wait_s, LAST_BACK_S)
            self._hand_over(self._is_away, said, denied)
            return
        self._refusals = 0
        client.reconnect_delay_set(random.randint(*self._back_s), LAST_BACK_S)
        client.subscribe(f"{ACKS_TOPIC}/{self._agent}", qos=1)
        self._hand_over(self._is_connected)

    def _on_connect_fail(self, _: paho.Client, __: Any) -> None:
        # The library tells no reason, but calls this where it handles the error.
        error = sys.exc_info()[1]
        outcome = Outcome.UNREACHABLE if error is None else outcome_of(error)
        said = f"{self._broker} {OUTCOME_TEXT[outcome]}"
        self._hand_over(self._is_away, said, False)

    def _on_disconnect(
        self, _: paho.Client, __: Any, ___: Any, code: Any, ____: Any
    ) -> None:
        said = f"{self._broker} broke off the connection: {code}"
        self._hand_over(self._is_cut, said)

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        if len(message.payload) <= MAX_RECEIPT_BYTES:
            self._hand_over(self._came, bytes(message.payload))


def refused_wait_s(refusals: int, chance: float) -> int:
    """Whole seconds until the next connection after `refusals` in a row. Pure.

    `chance` is uniform in [0, 1).
    """
    wait_s = REFUSED_BACK_S * 2 ** min(refusals - 1, 20)
    return min(1 + int(wait_s * (0.5 + chance)), LAST_BACK_S)


def decode_receipt(payload: bytes) -> Receipt | None:
    """The receipt in `payload`, None where there is none. Pure."""
    try:
        return msgspec.json.decode(payload, type=Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
