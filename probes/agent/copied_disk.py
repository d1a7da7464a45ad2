"""A disk that was copied to another computer, with the agent's identity on it.

The copy would report under the pseudonym of the laptop that it was copied from. It
notices at its start that the computer has another number, asks the server for an
identity of its own, with the credential that it has as proof, and drops what it holds
about the other laptop.
"""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from probes.agent.enrol import (
    NEXT_DEVICE,
    StoredCredential,
    known_device_id,
    next_device_id,
    request_enrolment,
    save_credential,
    save_device_id,
)
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Settings
from probes.wire.held_files import while_held
from probes.wire.report import Enrolment
from probes.wire.state_file import DAMAGED

# How the names of files begin that are about the other laptop and its user. Its reports
# are delivered by that one.
_OF_THE_OTHER = (
    "spool.",
    "sent.",
    "status.json",
    "is-it-me.html",
    "places.json",
    "support.json",
    "speed-test",
    "paused",
    # Others that were damaged and moved aside begin as above.
    f"device{DAMAGED}",
)

_log = logging.getLogger(__name__)


def with_machine(
    folder: Path, credential: StoredCredential, machine: str
) -> StoredCredential:
    """Returns the credential with this computer's digest, which is saved if it was not
    known: then a copy made from now on notices."""
    if credential.machine or not machine:
        return credential
    known = replace(credential, machine=machine)
    with contextlib.suppress(OSError):
        save_credential(folder, known)
    return known


async def enrol_copy(
    settings: Settings, software: str, credential: StoredCredential, machine: str
) -> StoredCredential:
    """Gets and saves an identity of its own. Whenever this is interrupted, it goes on
    with the same one. Raises `Later`, `NotEnrolled` or `OSError`."""
    folder = settings.folder()
    device = next_device_id(folder, credential.device)
    async with ServerConnection(
        settings.server, credential, settings.ca_file, software
    ) as connection:
        wish = Enrolment("", device, machine=machine)
        own = await request_enrolment(connection, settings.server, wish)
    save_credential(folder, own)
    _log.warning("copied_disk_enrolled agent=%s", own.agent)
    return own


def drop_the_others(folder: Path, credential: StoredCredential) -> None:
    """Removes what is about the laptop that the disk was copied from, if the credential
    is for another device id than the folder's. Raises `OSError`."""
    known = known_device_id(folder)
    if not credential.device or credential.device == known:
        return
    for path in folder.iterdir() if known else ():
        if path.name.startswith(_OF_THE_OTHER):
            while_held(partial(path.unlink, missing_ok=True))
    # Last: until then this is done again at the next start.
    save_device_id(folder, credential.device)
    with contextlib.suppress(FileNotFoundError):
        (folder / NEXT_DEVICE).unlink()
