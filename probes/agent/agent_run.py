"""The agent's composition root: the parts of `towpath-agent run`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from probes.agent.agent import Agent
from probes.agent.agent_parts import AgentIdentity, ServerLink
from probes.agent.clock_changes import clock_error_ms
from probes.agent.copied_disk import (
    drop_the_others,
    enrol_copy,
    with_machine,
)
from probes.agent.credential_renewal import CredentialRenewal
from probes.agent.enrol import (
    NotEnrolled,
    StoredCredential,
    enrol,
    is_copy,
    machine_of_this_computer,
    read_credential,
)
from probes.agent.enrol_again import enrol_if_refused
from probes.agent.enrolment_token import EnrolmentToken
from probes.agent.laptop_requests import open_to_people
from probes.agent.laptop_support import LaptopSupport
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import Later, Publisher
from probes.agent.server_connection import ServerConnection
from probes.agent.service_input import watch_input
from probes.agent.settings import Settings
from probes.agent.spool import Spool
from probes.measure.background import in_background
from probes.wire.clock import wall_ms
from probes.wire.report import AgentCredential

_log = logging.getLogger(__name__)


async def run(
    settings: Settings, software: str, token: EnrolmentToken, *, service: bool = False
) -> None:
    """Runs the agent until SIGTERM or SIGINT, and for a `service` until the end of
    standard input. `token` is forgotten once the laptop is enrolled. Raises
    `NotEnrolled`, `InUse` or `OSError` at the start if it cannot run; nothing
    afterwards."""
    stop, woken = asyncio.Event(), asyncio.Event()
    _stop_on_signals(stop)
    if service:
        watch_input(stop, woken)
    machine = await in_background(machine_of_this_computer)
    credential = await _get_credential(settings, software, token, machine, stop)
    if credential is None:
        return
    drop_the_others(settings.folder(), credential)
    if not token.is_needed:
        for warning in token.forget():
            _log.warning("enrolment_token_left error=%s", warning)
    folder = settings.folder()
    if settings.shared_folder:
        open_to_people(Path(settings.shared_folder))
    async with contextlib.AsyncExitStack() as stack:
        connection = ServerConnection(
            settings.server, credential, settings.ca_file, software
        )
        spool = stack.enter_context(
            Spool(
                folder,
                settings.spool,
                wall_ms,
                clock_error_ms=lambda: clock_error_ms(connection.clock_ahead_s),
            )
        )
        await stack.enter_async_context(connection)
        https = HttpsPublisher(connection)
        publisher: Publisher = https
        use_credential: Callable[[AgentCredential], None] = connection.use_credential
        came_back: Callable[[], bool] | None = None
        if settings.transport == "mqtt":
            from probes.agent.publish_mqtt import MqttPublisher

            mqtt = MqttPublisher(settings, credential)
            publisher = await stack.enter_async_context(mqtt)
            use_credential, came_back = mqtt.use_credential, mqtt.came_back
        server = ServerLink(
            publisher,
            policies=https,
            renewal=CredentialRenewal(
                folder, credential, machine, connection, use_credential, wall_ms
            ),
            support=LaptopSupport(folder, connection, wall_ms),
            network_bytes=lambda: connection.cost_bytes,
            clock_ahead_s=lambda: connection.clock_ahead_s,
            clock_was_set=connection.clock_was_set,
            came_back=came_back,
        )
        identity = AgentIdentity(settings, credential, software)
        await Agent(identity, spool, server).run(stop, woken)


async def _get_credential(
    settings: Settings,
    software: str,
    token: EnrolmentToken,
    machine: str,
    stop: asyncio.Event,
) -> StoredCredential | None:
    """Returns the stored credential, enrols with the token, or gets an identity of its
    own for a copied disk; None if the agent is stopped first."""
    text = token.read()

    async def by_token(as_another: bool) -> StoredCredential:
        return await enrol(
            settings.server,
            text,
            settings.folder(),
            settings.ca_file,
            software,
            settings.ring,
            as_another=as_another,
        )

    try:
        known = read_credential(settings.folder())
    except NotEnrolled:
        if not text:
            raise
        with _only_one(settings):
            return await _until_enrolled(lambda: by_token(False), stop)
    if not (settings.server and is_copy(known, machine)):
        known = with_machine(settings.folder(), known, machine)
        if not (text and settings.server):
            return known
        with _only_one(settings):
            return await _until_enrolled(
                lambda: enrol_if_refused(known, settings, software, token, by_token),
                stop,
            )

    async def as_copy() -> StoredCredential:
        try:
            return await enrol_copy(settings, software, known, machine)
        except NotEnrolled:
            # Its secret may be too old, or the laptop that it was copied from revoked.
            if not text:
                raise
            return await by_token(True)

    with _only_one(settings):
        return await _until_enrolled(as_copy, stop)


def _only_one(settings: Settings) -> Spool:
    """The spool as a lock: of two agents only one enrols."""
    return Spool(settings.folder(), settings.spool, wall_ms, lambda: None)


async def _until_enrolled(
    attempt: Callable[[], Coroutine[Any, Any, StoredCredential]], stop: asyncio.Event
) -> StoredCredential | None:
    """Repeats `attempt` until it succeeds; None if the agent is stopped first."""
    stopping = asyncio.create_task(stop.wait(), name="agent-stop-enrolling")
    try:
        while not stop.is_set():
            enrolling = asyncio.create_task(attempt(), name="agent-enrolling")
            await asyncio.wait(
                {enrolling, stopping}, return_when=asyncio.FIRST_COMPLETED
            )
            if not enrolling.done():
                enrolling.cancel()
            try:
                return await enrolling
            except asyncio.CancelledError:
                break
            except Later as later:
                # Laptops often start before their network does.
                wait_s = random.uniform(30, 120)
                if later.after_s is not None:
                    wait_s = min(later.after_s, 3600) * random.uniform(1, 1.5)
                _log.warning("enrolment_failed retry_s=%.0f error=%s", wait_s, later)
                await asyncio.wait({stopping}, timeout=wait_s)
    finally:
        stopping.cancel()
    return None


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    # CTRL_BREAK is how a console of Windows ends a group of processes.
    names = ("SIGTERM", "SIGINT", "SIGBREAK")
    for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:
            # Windows: the handler runs in the main thread, between two steps.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
