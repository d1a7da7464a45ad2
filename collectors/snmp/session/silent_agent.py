"""Finds out why an agent does not answer a credential.

Agents send no report for some faults: none for a community that they do not know, and
some (Net-SNMP) none for a message that they cannot decrypt. Then the same user with
less security shows what is wrong. No secret is sent for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.snmp.session.credentials import Credential
from collectors.snmp.session.engine_discovery import agent_answers
from collectors.snmp.session.envelope import refusal_sentence
from collectors.snmp.session.oids import SYS_UP_TIME
from collectors.snmp.session.session import AnswerTooBig, Failed, RetryPolicy
from collectors.snmp.session.udp_session import NoAccess, UdpSession
from probes.wire.failure import Outcome

COMMUNITY_IGNORED = (
    "there is an SNMP agent, but it does not answer this community: correct the "
    "community, or let this machine into the device's access list"
)


async def explain_silence(
    address: str, port: int, credential: Credential, timeout_s: float
) -> str:
    """Why the agent does not answer; empty if there is none. Never raises."""
    if not await agent_answers(address, port, timeout_s):
        return ""
    if credential.version != "3":
        return COMMUNITY_IGNORED
    for weaker, sentence in _weaker(credential):
        session = UdpSession(address, port, weaker, RetryPolicy((timeout_s, timeout_s)))
        try:
            await session.get([SYS_UP_TIME])
        except (AnswerTooBig, NoAccess):
            # Without a right to read, the user is accepted all the same.
            pass
        except Failed as failed:
            if failed.outcome is Outcome.AUTH_FAILED:
                return failed.detail
            continue
        finally:
            session.close()
        return sentence
    return (
        f"there is an SNMP agent, but it does not answer user {credential.user!r}: let "
        "this machine into the device's access list, or look for lost packets"
    )


def _weaker(credential: Credential) -> Iterator[tuple[Credential, str]]:
    """The same user with less, and what is wrong if that is answered."""
    plain = msgspec.structs.replace(credential, priv="none", priv_password="")
    if credential.priv != "none":
        yield plain, refusal_sentence(credential, "decryption")
    if credential.context:
        without = msgspec.structs.replace(credential, context="")
        yield without, refusal_sentence(credential, "context")
