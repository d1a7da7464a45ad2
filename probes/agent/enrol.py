"""How a laptop becomes known to its council, once: `POST /v1/enrol`.

The device id is random, made here and kept here; it is not the machine's own id, so
nothing else on the laptop can be joined to it. The server answers with a pseudonym (a
keyed hash of it) and a secret, kept readable by this user alone.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import msgspec

from probes.agent.publish_https import ServerConnection
from probes.agent.report_delivery import Later
from probes.wire.atomic_file import replace_file
from probes.wire.report import AgentCredential, Enrolment
from probes.wire.retry_after import retry_after_s

CREDENTIAL = "credential.json"
DEVICE = "device"


class NotEnrolled(Exception):
    """No usable credential; the text says what to do."""


def read_credential(folder: Path) -> AgentCredential:
    """The credential in `folder`. `NotEnrolled` where there is none to use."""
    path = folder / CREDENTIAL
    try:
        return msgspec.json.decode(path.read_bytes(), type=AgentCredential)
    except FileNotFoundError:
        raise NotEnrolled(
            "this laptop is not enrolled: run towpath-agent enrol --server URL "
            "--token TOKEN with the token your council gave you"
        ) from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotEnrolled(
            f"{path} cannot be used ({error}): run towpath-agent enrol again"
        ) from None


def device_id(folder: Path) -> str:
    """This laptop's own random id, made the first time. `OSError` if it cannot be."""
    known = known_device_id(folder)
    if known:
        return known
    made = secrets.token_hex(16)
    replace_file(folder / DEVICE, made.encode() + b"\n", durable=True)
    return made


def known_device_id(folder: Path) -> str:
    """The id made before; empty where there is none, or none that can be read."""
    try:
        known = (folder / DEVICE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    usable = len(known) == 32 and all(c in "0123456789abcdef" for c in known)
    return known if usable else ""


async def enrol(
    server: str, token: str, folder: Path, ca_file: str, software: str
) -> AgentCredential:
    """Introduces this laptop and keeps what it was given.

    `Later` where the server could not be asked, `NotEnrolled` where it refused.
    """
    body = msgspec.json.encode(Enrolment(token=token, device=device_id(folder)))
    headers = {"Content-Type": "application/json"}
    async with ServerConnection(server, None, ca_file, software) as door:
        answer = await door.ask("POST", "/v1/enrol", body, headers)
    if answer.status == 200:
        try:
            credential = msgspec.json.decode(answer.body, type=AgentCredential)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Later(f"{server} is not a Towpath server: odd answer") from None
        replace_file(folder / CREDENTIAL, msgspec.json.encode(credential), durable=True)
        return credential
    why = answer.why
    if why is None:
        raise Later(
            f"{server} answered with HTTP {answer.status} and not as a Towpath "
            "server does; is the address right?"
        )
    if answer.status in {429, 503}:
        after_s = retry_after_s(answer.headers.get("retry-after", ""), time.time())
        raise Later(f"{server} is busy: {why}", after_s)
    raise NotEnrolled(f"{server} refused the enrolment: {why}")
