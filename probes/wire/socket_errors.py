"""Maps errors of the operating system to outcomes of the closed list."""

from __future__ import annotations

import errno
import re
import socket
import ssl

from probes.wire.failure import Outcome

# Windows has its own numbers for the same errors.
_BY_NUMBER = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    10061: Outcome.REFUSED,
    # Windows reports "reset" for a closed UDP port, too.
    errno.ECONNRESET: Outcome.RESET,
    10054: Outcome.RESET,
    errno.ECONNABORTED: Outcome.RESET,
    10053: Outcome.RESET,
    errno.EPIPE: Outcome.RESET,
    errno.ETIMEDOUT: Outcome.TIMEOUT,
    10060: Outcome.TIMEOUT,
    errno.EHOSTUNREACH: Outcome.UNREACHABLE,
    10065: Outcome.UNREACHABLE,
    errno.ENETUNREACH: Outcome.NO_NETWORK,
    10051: Outcome.NO_NETWORK,
    errno.ENETDOWN: Outcome.NO_NETWORK,
    10050: Outcome.NO_NETWORK,
    errno.EADDRNOTAVAIL: Outcome.NO_NETWORK,
    10049: Outcome.NO_NETWORK,
}
_NUMBER = re.compile(r"(?:\[Errno |os error )(\d+)")
# X509_V_ERR_CERT_NOT_YET_VALID.
_NOT_YET_VALID = 9
_NO_SUCH_NAME = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}


def outcome_of(error: BaseException) -> Outcome:
    """Returns the outcome of `error`; `UNREACHABLE` if nothing fits better."""
    if isinstance(error, socket.gaierror):
        if error.errno in _NO_SUCH_NAME:
            return Outcome.NAME_NOT_FOUND
        return Outcome.NAME_SERVER_FAILED
    if isinstance(error, UnicodeError):
        # A name that cannot be looked up: a label is too long, or empty.
        return Outcome.NAME_NOT_FOUND
    if isinstance(error, ssl.SSLCertVerificationError):
        # If a certificate is not valid *yet*, this clock is usually behind. A server
        # rarely uses a certificate too early.
        early = error.verify_code == _NOT_YET_VALID
        return Outcome.CLOCK_WRONG if early else Outcome.TLS_FAILED
    if isinstance(error, ssl.SSLError):
        return Outcome.TLS_FAILED
    if isinstance(error, TimeoutError):
        return Outcome.TIMEOUT
    if isinstance(error, OSError):
        known = [_BY_NUMBER[n] for n in _numbers(error) if n in _BY_NUMBER]
        if known:
            # If one address family is missing here, the other's error is the reason.
            return next((o for o in known if o is not Outcome.NO_NETWORK), known[0])
    if isinstance(error, ConnectionError):
        # asyncio's own, without a number: the connection was cut.
        return Outcome.RESET
    return Outcome.UNREACHABLE


def _numbers(error: OSError) -> list[int]:
    """Returns the error's number, or those in its text: asyncio lists the errors of
    several addresses there, and libraries in Rust put their only one there."""
    if error.errno is not None:
        return [error.errno]
    return [int(number) for number in _NUMBER.findall(str(error))]
