"""The sentence about a certificate that is not trusted. Pure."""

from __future__ import annotations

import datetime
import re
import ssl

from probes.agent.shown_certificate import ShownCertificate
from probes.wire.socket_errors import is_out_of_time, verify_code

# Windows words them in the laptop's language, or as a bare number (winerror.h).
_OF_WINDOWS = {
    0x800B0101: "it is not valid by this laptop's clock",
    0x800B0109: "this laptop does not trust the authority that issued it",
    0x800B010A: "it leads to no authority that this laptop knows",
    0x800B010C: "it was revoked",
    0x80092010: "it was revoked",
    0x80092012: "whether it was revoked could not be found out",
    0x80092013: "whether it was revoked could not be found out",
    0x800B010F: "it is for another name",
}
# What a proxy answers if it cannot reach a server.
_NO_SERVER = {502, 503, 504}


def certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Returns what checking a certificate raised, behind `error`; None if it was
    something else."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None or isinstance(seen, ssl.SSLCertVerificationError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def certificate_sentence(
    error: ssl.SSLCertVerificationError, now_s: float, shown: ShownCertificate | None
) -> str:
    """Why a certificate is not trusted, what was shown instead, and what to do."""
    text = _OF_WINDOWS.get(verify_code(error), error.verify_message or str(error))
    why = re.sub(r"\s+", " ", text).strip().rstrip(".")
    parts = [f"has a certificate that is not trusted: {why}"]
    if is_out_of_time(error):
        # Far more often it is the laptop's clock than the server's certificate.
        clock = datetime.datetime.fromtimestamp(now_s, datetime.UTC)
        parts.append(
            f"this laptop's clock says {clock.day} {clock:%B %Y, %H:%M} UTC: is this "
            "laptop's clock right?"
        )
    if shown is not None:
        named = f" for {shown.subject!r}" if shown.subject else ""
        if shown.issuer:
            parts.append(f"it was issued by {shown.issuer!r}{named}")
        parts += _between(shown)
    return "; ".join(parts)


def _between(shown: ShownCertificate) -> list[str]:
    """What is known of something that answers in the server's place."""
    opens = f"the proxy {shown.via!r} on the way opens encrypted connections"
    if shown.status in _NO_SERVER:
        who = opens if shown.via else "a proxy on the way opens encrypted connections"
        return [f"{who} and cannot reach the server (HTTP {shown.status})"]
    if shown.via:
        return [
            f"{opens}: let this server through unopened, or have laptops trust its "
            "authority"
        ]
    return []
