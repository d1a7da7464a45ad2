"""One plain sentence for each error of NATS. Pure."""

from __future__ import annotations

import os
import ssl

from nats import errors
from nats.js import errors as jetstream_errors

from collectors.nats.nats_config import NatsConfig

# What the client raises if the servers do not do what they were asked.
NATS_FAILURES = (errors.Error, OSError, TimeoutError)
_NO_JETSTREAM = frozenset({10039, 10076})
_NO_QUORUM = frozenset({10008, 10009})
# The same message again, while most servers have not confirmed it the first time.
_IN_PROCESS = 10158
_NO_ROOM = frozenset({10023, 10028, 10047, 10077})
_VERBS = {"publish": "publish to", "subscription": "subscribe to"}
_REFUSED = ("authorization violation", "authentication")


def is_full(error: BaseException) -> bool:
    """Whether the servers have no room left: of the disk, or of a limit."""
    if not isinstance(error, jetstream_errors.APIError):
        return False
    text = (error.description or "").lower()
    return error.err_code in _NO_ROOM or "no space left" in text


def nats_sentence(error: BaseException, config: NatsConfig) -> str:
    """What is wrong with the servers, or with the settings that name them."""
    names, table = ", ".join(config.servers), config.table
    if forbidden := forbidden_sentence(error):
        return f"{names}: {forbidden}"
    text = str(error).removeprefix("nats: ").strip().strip("'")
    if isinstance(error, jetstream_errors.NoStreamResponseError):
        return f"{names}: no stream takes what is published"
    if isinstance(error, jetstream_errors.APIError):
        return f"{names}: {_api_sentence(error)}"
    if isinstance(error, errors.NoRespondersError):
        return f"{names}: JetStream is not enabled, or no server of it is there"
    if isinstance(error, errors.AuthorizationError) or any(
        words in text.lower() for words in _REFUSED
    ):
        return (
            f"{names}: the user, the password, the credentials or the certificate is "
            f"refused ({table}.user, {table}.password_file, {table}.credentials_file, "
            f"{table}.certificate)"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{names}: the server's certificate is not accepted: "
            f"{error.verify_message} ({table}.ca_file)"
        )
    if isinstance(error, ssl.SSLError):
        reason = str(getattr(error, "reason", None) or error).lower().replace("_", " ")
        return f"{names}: TLS failed: {reason}"
    if isinstance(error, TimeoutError):
        return f"{names}: no answer in time"
    if isinstance(error, AssertionError):
        # The client finds that what it has just made is gone.
        return f"{names}: the connection ended while it was made"
    if isinstance(error, OSError):
        reason = os.strerror(error.errno) if error.errno else str(error)
        return f"{names}: cannot be reached: {reason}"
    return f"{names}: {text or type(error).__name__}"


def forbidden_sentence(error: BaseException) -> str:
    """What the permissions of the user do not allow; empty for any other error."""
    _, found, subject = str(error).lower().partition("permissions violation for ")
    if not found:
        return ""
    verb, _, name = subject.partition(" to ")
    return (
        f"this user may not {_VERBS.get(verb, 'use')} {name.strip()} (docs/operator.md "
        "lists what is needed)"
    )


def _api_sentence(error: jetstream_errors.APIError) -> str:
    if error.err_code in _NO_JETSTREAM:
        return "JetStream is not enabled for this user"
    if error.err_code in _NO_QUORUM:
        return "too few servers are there: JetStream has no quorum"
    if error.err_code == _IN_PROCESS:
        return "too few servers confirm what is written"
    if is_full(error):
        return f"no room is left: {error.description}"
    if error.description:
        return f"JetStream refuses: {error.description}"
    # It has no description if no server has answered at all.
    return "JetStream is not enabled, or no server of it is there"
