"""Enrols a laptop again that the server does not accept any more, with a token that was
put on it for that, as at the first installation."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from probes.agent.enrol import NotEnrolled, StoredCredential
from probes.agent.enrolment_token import EnrolmentToken
from probes.agent.publish_https import HttpsPublisher
from probes.agent.report_delivery import CredentialRefused, Later
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Settings

_log = logging.getLogger(__name__)


async def enrol_if_refused(
    known: StoredCredential,
    settings: Settings,
    software: str,
    token: EnrolmentToken,
    enrol: Callable[[bool], Awaitable[StoredCredential]],
) -> StoredCredential:
    """Returns `known`, or if the server refuses that, a new credential from `enrol`,
    which is called with whether to become another laptop. The token stays on the laptop
    until one of them is accepted. Raises `OSError` if the new one cannot be saved."""
    token.is_needed = True
    try:
        refused = await _refusal_of(known, settings, software)
        if refused is not None:
            # Never in the place of another laptop that uses the same credential.
            known = await enrol(refused.used_twice)
            _log.warning("enrolled_again agent=%s reason=%s", known.agent, refused)
    except (Later, NotEnrolled) as error:
        _log.warning("enrolment_token_not_used error=%s", error)
    else:
        token.is_needed = False
    return known


async def _refusal_of(
    credential: StoredCredential, settings: Settings, software: str
) -> CredentialRefused | None:
    """Why the server does not accept the credential; None if it does. Raises `Later` if
    that cannot be found out."""
    async with ServerConnection(
        settings.server, credential, settings.ca_file, software
    ) as connection:
        try:
            await HttpsPublisher(connection).policy()
        except CredentialRefused as refused:
            return refused
    return None
