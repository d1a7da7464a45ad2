"""Enrols a laptop with its council, once: `POST /v1/enrol`.

The device id is random, made here and kept here. It is not the machine's own id, so
nothing else on the laptop can be linked to it. The server answers with a pseudonym (a
keyed hash of the device id) and a secret, which only this user can read.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import msgspec

from probes.agent.report_delivery import Later
from probes.agent.server_connection import ServerConnection
from probes.agent.stop_orders import StopOrders
from probes.wire.atomic_file import replace_file
from probes.wire.report import AgentCredential, Enrolment
from probes.wire.retry_after import retry_after_s

CREDENTIAL = "credential.json"
DEVICE = "device"


class NotEnrolled(Exception):
    """There is no usable credential; the text says what to do."""


def read_credential(folder: Path) -> AgentCredential:
    """Returns the credential in `folder`. Raises `NotEnrolled` if there is none that
    can be used."""
    path = folder / CREDENTIAL
    try:
        return msgspec.json.decode(path.read_bytes(), type=AgentCredential)
    except FileNotFoundError:
        raise NotEnrolled(
            "this laptop is not enrolled: run towpath-agent enrol --server URL "
            "--token TOKEN with the token your council gave you"
        ) from None
    except PermissionError:
        raise NotEnrolled(
            f"{path} is only for the agent's own user and administrators"
        ) from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotEnrolled(
            f"{path} cannot be used ({error}): run towpath-agent enrol again"
        ) from None


def device_id(folder: Path) -> str:
    """Returns this laptop's random id, which is made the first time. Raises `OSError`
    if it cannot be saved."""
    known = known_device_id(folder)
    if known:
        return known
    new = secrets.token_hex(16)
    replace_file(folder / DEVICE, new.encode() + b"\n", durable=True)
    return new


def known_device_id(folder: Path) -> str:
    """Returns the id made before; empty if there is none, or it cannot be read."""
    try:
        known = (folder / DEVICE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    usable = len(known) == 32 and all(c in "0123456789abcdef" for c in known)
    return known if usable else ""


async def enrol(
    server: str,
    token: str,
    folder: Path,
    ca_file: str,
    software: str,
    ring: str = "",
) -> AgentCredential:
    """Enrols this laptop, saves the credential and returns it.

    Raises `Later` if the server cannot be reached, `NotEnrolled` if it refuses.
    """
    body = msgspec.json.encode(Enrolment(token, device_id(folder), ring=ring))
    headers = {"Content-Type": "application/json"}
    async with ServerConnection(server, None, ca_file, software) as connection:
        response = await connection.request("POST", "/v1/enrol", body, headers)
    if response.status == 200:
        try:
            credential = msgspec.json.decode(response.body, type=AgentCredential)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Later(
                f"the answer of {server} is not that of a Towpath server"
            ) from None
        replace_file(folder / CREDENTIAL, msgspec.json.encode(credential), durable=True)
        StopOrders(folder, server).pin(credential.stop_key)
        return credential
    why = response.why
    if why is None:
        raise Later(
            f"{server} answered with HTTP {response.status}, and not as a Towpath "
            "server does. Is the address right?"
        )
    if response.status in {429, 503}:
        after_s = retry_after_s(response.headers.get("retry-after", ""), time.time())
        raise Later(f"{server} is busy: {why}", after_s)
    raise NotEnrolled(f"{server} refused the enrolment: {why}")
