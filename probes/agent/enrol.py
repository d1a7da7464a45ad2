"""Enrols a laptop with its council, once: `POST /v1/enrol`.

The device id is random, made here and kept here. It is not the machine's own id, so
nothing else on the laptop can be linked to it. The server answers with a pseudonym (a
keyed hash of the device id) and a secret, which only this user can read. Of the
computer's own number a digest is sent (`machine_number`), if this user may read it.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from pathlib import Path

import msgspec

from probes import platforms
from probes.agent.report_delivery import Later
from probes.agent.server_connection import ServerConnection
from probes.agent.stop_orders import StopOrders
from probes.measure.background import in_background
from probes.wire.atomic_file import replace_file
from probes.wire.clock import wall_ms
from probes.wire.held_files import read_held, while_held
from probes.wire.machine_number import machine_digest
from probes.wire.report import AgentCredential, Enrolment
from probes.wire.retry_after import retry_after_s
from probes.wire.state_file import StateFile

CREDENTIAL = "credential.json"
DEVICE = "device"
# What a file takes on a disk at least.
_CREDENTIAL_BYTES = 4_096
# The id of a laptop that asks to be another one, until it is.
NEXT_DEVICE = "device.new"


class StoredCredential(AgentCredential, frozen=True):
    """The credential as this laptop keeps it.

    `device`: the device id it is for. `machine`: the digest of the computer that it was
    given to; empty if that is not known. `made_ms`: when the secret was made, 0 if that
    is not known. `previous`: the secret before it, `older` those before that, the
    newest first. `unconfirmed`: the server does not know yet that this laptop has the
    secret.
    """

    device: str = ""
    machine: str = ""
    made_ms: int = 0
    previous: str = ""
    older: tuple[str, ...] = ()
    unconfirmed: bool = False


class NotEnrolled(Exception):
    """There is no usable credential; the text says what to do."""


class DeviceIdTaken(NotEnrolled):
    """Another computer has enrolled with this device id."""


def is_copy(credential: StoredCredential, machine: str) -> bool:
    """Whether the credential was given to another computer than this one, whose digest
    is `machine`. False if either is not known. Pure."""
    return bool(credential.machine and machine and credential.machine != machine)


def read_credential(folder: Path) -> StoredCredential:
    """Returns the credential in `folder`. Raises `NotEnrolled` if there is none that
    can be used."""
    path = folder / CREDENTIAL
    try:
        return msgspec.json.decode(read_held(path), type=StoredCredential)
    except FileNotFoundError:
        raise NotEnrolled(
            "this laptop is not enrolled: run towpath-agent enrol --server URL "
            "--token TOKEN with the token your council gave you"
        ) from None
    except PermissionError:
        raise NotEnrolled(
            f"{path} is only for the agent's own user and administrators"
        ) from None
    except (
        OSError,
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
    ) as error:
        raise NotEnrolled(
            f"{path} cannot be used ({error}): run towpath-agent enrol again"
        ) from None


def save_credential(folder: Path, credential: StoredCredential) -> None:
    """Raises `OSError` if it cannot be saved; then the one before is still there."""
    replace_file(folder / CREDENTIAL, msgspec.json.encode(credential), durable=True)


def device_id(folder: Path) -> str:
    """Returns this laptop's random id, which is made the first time. Raises `OSError`
    if it cannot be read or saved."""
    # An id that cannot be read now is not replaced: the laptop would be another one.
    known = _device_file(folder, DEVICE).load(_decode_device, "")
    return known or _new_device_id(folder, DEVICE)


def next_device_id(folder: Path, present: str) -> str:
    """Returns an id to be another laptop by: the same one until it is in use. Raises
    `OSError` if it cannot be saved."""
    made = known_device_id(folder, NEXT_DEVICE)
    if made and made not in (present, known_device_id(folder)):
        return made
    return _new_device_id(folder, NEXT_DEVICE)


def _new_device_id(folder: Path, name: str) -> str:
    new = secrets.token_hex(16)
    save_device_id(folder, new, name)
    return new


def save_device_id(folder: Path, device: str, name: str = DEVICE) -> None:
    _device_file(folder, name).save(device.encode() + b"\n")


def known_device_id(folder: Path, name: str = DEVICE) -> str:
    """Returns the id made before; empty if there is none, or it cannot be read."""
    try:
        return _device_file(folder, name).load(_decode_device, "")
    except OSError:
        return ""


def _device_file(folder: Path, name: str) -> StateFile:
    loss = "it is taken from the credential, or a new one is made"
    return StateFile(folder / name, loss)


def _decode_device(content: bytes) -> str:
    known = content.decode("ascii").strip()
    if not re.fullmatch(r"[0-9a-f]{32}", known):
        raise ValueError("expected 32 hexadecimal digits")
    return known


def check_room(folder: Path) -> None:
    """Raises `OSError` if a credential cannot be saved in `folder`."""
    trial = folder / f"{CREDENTIAL}.trial"
    replace_file(trial, bytes(_CREDENTIAL_BYTES), durable=True)
    while_held(trial.unlink)


def machine_of_this_computer() -> str:
    """The digest of this computer's number; empty if this user may not read it, or its
    maker left it open. Blocks for a moment."""
    return machine_digest(*platforms.machine_numbers())


async def enrol(
    server: str,
    token: str,
    folder: Path,
    ca_file: str,
    software: str,
    ring: str = "",
    *,
    as_another: bool = False,
) -> StoredCredential:
    """Enrols this laptop, saves the credential and returns it. `as_another`: with a new
    device id, because its disk was copied. So it does if it notices that itself.

    Raises `Later` if the server cannot be reached, `NotEnrolled` if it refuses,
    `OSError` if nothing can be saved: before a use of the token is spent.
    """
    check_room(folder)
    machine = await in_background(machine_of_this_computer)
    with contextlib.suppress(NotEnrolled):
        as_another |= is_copy(read_credential(folder), machine)
    device = next_device_id(folder, "") if as_another else device_id(folder)
    enrolment = Enrolment(token, device, machine=machine, ring=ring)
    async with ServerConnection(server, None, ca_file, software) as connection:
        try:
            credential = await request_enrolment(connection, server, enrolment)
        except DeviceIdTaken:
            if as_another:
                raise
            other = msgspec.structs.replace(
                enrolment, device=next_device_id(folder, "")
            )
            credential = await request_enrolment(connection, server, other)
    save_credential(folder, credential)
    StopOrders(folder, server).pin(credential.stop_key)
    return credential


async def request_enrolment(
    connection: ServerConnection, server: str, enrolment: Enrolment
) -> StoredCredential:
    """Sends `enrolment` and returns the new credential. Raises `Later` or
    `NotEnrolled`."""
    body, headers = msgspec.json.encode(enrolment), {"Content-Type": "application/json"}
    response = await connection.request("POST", "/v1/enrol", body, headers)
    if response.status == 200:
        try:
            made = msgspec.json.decode(response.body, type=AgentCredential)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Later(
                f"the answer of {server} is not that of a Towpath server"
            ) from None
        return StoredCredential(
            **msgspec.structs.asdict(made),
            device=enrolment.device,
            machine=enrolment.machine,
            made_ms=wall_ms(),
        )
    why = response.why
    if why is None:
        raise Later(
            f"{server} answered with HTTP {response.status}, and not as a Towpath "
            "server does. Is the address right?"
        )
    if response.status in {429, 503}:
        after_s = retry_after_s(response.headers.get("retry-after", ""), time.time())
        raise Later(f"{server} is busy: {why}", after_s)
    kind = DeviceIdTaken if response.status == 409 else NotEnrolled
    raise kind(f"{server} refused the enrolment: {why}")
