"""Maps errors of the operating system to outcomes of the closed list."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import sys

from probes.wire.failure import Outcome

_BY_ERRNO = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    # Windows reports "reset" for a closed UDP port, too.
    errno.ECONNRESET: Outcome.RESET,
    errno.ECONNABORTED: Outcome.RESET,
    errno.EPIPE: Outcome.RESET,
    errno.ETIMEDOUT: Outcome.TIMEOUT,
    errno.EHOSTUNREACH: Outcome.UNREACHABLE,
    errno.EHOSTDOWN: Outcome.UNREACHABLE,
    errno.ENETUNREACH: Outcome.NO_NETWORK,
    errno.ENETDOWN: Outcome.NO_NETWORK,
    errno.EADDRNOTAVAIL: Outcome.NO_NETWORK,
    # This machine sent nothing, so they say nothing about the other. Linux: EAGAIN if
    # a UDP socket gets no port (udp(7), ip_local_port_range).
    errno.EAGAIN: Outcome.NO_RESOURCES,
    errno.EADDRINUSE: Outcome.NO_RESOURCES,
    errno.EMFILE: Outcome.NO_RESOURCES,
    errno.ENFILE: Outcome.NO_RESOURCES,
    errno.ENOBUFS: Outcome.NO_RESOURCES,
    errno.ENOMEM: Outcome.NO_RESOURCES,
}
# Windows: system errors of overlapped sockets (winerror.h) and those of Winsock
# (winsock2.h). Python gives many of them EINVAL as `errno`.
_BY_WINERROR = {
    8: Outcome.NO_RESOURCES,  # ERROR_NOT_ENOUGH_MEMORY
    14: Outcome.NO_RESOURCES,  # ERROR_OUTOFMEMORY
    64: Outcome.RESET,  # ERROR_NETNAME_DELETED
    109: Outcome.RESET,  # ERROR_BROKEN_PIPE
    121: Outcome.TIMEOUT,  # ERROR_SEM_TIMEOUT
    232: Outcome.RESET,  # ERROR_NO_DATA
    258: Outcome.TIMEOUT,  # WAIT_TIMEOUT
    1222: Outcome.NO_NETWORK,  # ERROR_NO_NETWORK
    1225: Outcome.REFUSED,  # ERROR_CONNECTION_REFUSED
    1226: Outcome.RESET,  # ERROR_GRACEFUL_DISCONNECT
    1229: Outcome.RESET,  # ERROR_CONNECTION_INVALID
    1231: Outcome.NO_NETWORK,  # ERROR_NETWORK_UNREACHABLE
    1232: Outcome.UNREACHABLE,  # ERROR_HOST_UNREACHABLE
    1233: Outcome.UNREACHABLE,  # ERROR_PROTOCOL_UNREACHABLE
    1234: Outcome.REFUSED,  # ERROR_PORT_UNREACHABLE
    1235: Outcome.RESET,  # ERROR_REQUEST_ABORTED
    1236: Outcome.RESET,  # ERROR_CONNECTION_ABORTED
    1256: Outcome.UNREACHABLE,  # ERROR_HOST_DOWN
    1450: Outcome.NO_RESOURCES,  # ERROR_NO_SYSTEM_RESOURCES
    1455: Outcome.NO_RESOURCES,  # ERROR_COMMITMENT_LIMIT
    1460: Outcome.TIMEOUT,  # ERROR_TIMEOUT
    1816: Outcome.NO_RESOURCES,  # ERROR_NOT_ENOUGH_QUOTA
    10024: Outcome.NO_RESOURCES,  # WSAEMFILE
    10048: Outcome.NO_RESOURCES,  # WSAEADDRINUSE
    10049: Outcome.NO_NETWORK,  # WSAEADDRNOTAVAIL
    10050: Outcome.NO_NETWORK,  # WSAENETDOWN
    10051: Outcome.NO_NETWORK,  # WSAENETUNREACH
    10052: Outcome.RESET,  # WSAENETRESET
    10053: Outcome.RESET,  # WSAECONNABORTED
    10054: Outcome.RESET,  # WSAECONNRESET
    10055: Outcome.NO_RESOURCES,  # WSAENOBUFS
    10057: Outcome.RESET,  # WSAENOTCONN
    10058: Outcome.RESET,  # WSAESHUTDOWN
    10060: Outcome.TIMEOUT,  # WSAETIMEDOUT
    10061: Outcome.REFUSED,  # WSAECONNREFUSED
    10064: Outcome.UNREACHABLE,  # WSAEHOSTDOWN
    10065: Outcome.UNREACHABLE,  # WSAEHOSTUNREACH
    10101: Outcome.RESET,  # WSAEDISCON
    11001: Outcome.NAME_NOT_FOUND,  # WSAHOST_NOT_FOUND
    11002: Outcome.NAME_SERVER_FAILED,  # WSATRY_AGAIN
    11003: Outcome.NAME_SERVER_FAILED,  # WSANO_RECOVERY
    11004: Outcome.NAME_NOT_FOUND,  # WSANO_DATA
}
_NUMBER = re.compile(r"(\[Errno |\[WinError |os error )(-?\d+)")
# ERROR_MORE_DATA and WSAEMSGSIZE.
_TOO_LONG = {234, 10_040}
# The first number of Winsock (WSABASEERR).
_WINSOCK = 10_000
# A certificate that is not valid yet: OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, and
# errSecCertificateNotValidYet of macOS.
_NOT_YET_VALID = {9, -67_819}
# One that is not valid any more: X509_V_ERR_CERT_HAS_EXPIRED, errSecCertificateExpired,
# and CERT_E_EXPIRED of Windows, which means either.
_EXPIRED = {10, -67_818, 0x800B0101}
_NO_SUCH_NAME = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}


def telling(outcome: Outcome) -> int:
    """How much a failure to reach a host says. If this network lacks one family of
    addresses, or has no way out for it, the failure of the other is the useful one."""
    silent = (Outcome.NO_NETWORK, Outcome.UNREACHABLE)
    return silent.index(outcome) if outcome in silent else len(silent)


def outcome_of(error: BaseException) -> Outcome:
    """Returns the outcome of `error`; `UNREACHABLE` if nothing fits better."""
    if isinstance(error, socket.gaierror):
        if error.errno in _NO_SUCH_NAME:
            return Outcome.NAME_NOT_FOUND
        return _BY_WINERROR.get(error.errno or 0, Outcome.NAME_SERVER_FAILED)
    if isinstance(error, UnicodeError):
        # A name that cannot be looked up: a label is too long, or empty.
        return Outcome.NAME_NOT_FOUND
    if isinstance(error, ssl.SSLCertVerificationError):
        # If a certificate is not valid *yet*, this clock is usually behind. A server
        # rarely uses a certificate too early.
        early = verify_code(error) in _NOT_YET_VALID
        return Outcome.CLOCK_WRONG if early else Outcome.TLS_FAILED
    if isinstance(error, ssl.SSLError):
        return Outcome.TLS_FAILED
    if isinstance(error, OSError):
        known = _known(error)
        if known:
            return max(known, key=telling)
    if isinstance(error, TimeoutError):
        return Outcome.TIMEOUT
    if isinstance(error, ConnectionRefusedError):
        return Outcome.REFUSED
    if isinstance(error, ConnectionError):
        # asyncio's own, without a number: the connection was cut.
        return Outcome.RESET
    return Outcome.UNREACHABLE


def is_out_of_time(error: ssl.SSLCertVerificationError) -> bool:
    """True if a certificate is not valid yet, or not any more, by this clock."""
    return verify_code(error) in _NOT_YET_VALID | _EXPIRED


def verify_code(error: ssl.SSLCertVerificationError) -> int:
    """The number of what is wrong with a certificate, of whatever checked it."""
    # An error that a library makes itself has none.
    return getattr(error, "verify_code", 0)


def is_too_long(error: OSError) -> bool:
    """True if a datagram was longer than the way allows."""
    return error.errno == errno.EMSGSIZE or _windows_number(error) in _TOO_LONG


def _known(error: OSError) -> list[Outcome]:
    """The outcomes of the error's number, or of those in its text: asyncio lists the
    errors of several addresses there, and libraries in Rust put their only one
    there."""
    # The number of Windows says more: Python gives most of them EINVAL besides.
    of_windows = _windows_number(error)
    if of_windows in _BY_WINERROR:
        return [_BY_WINERROR[of_windows]]
    if error.errno is not None:
        outcome = _by_number(error.errno)
        return [] if outcome is None else [outcome]
    found = [
        _BY_WINERROR.get(int(number))
        if "Win" in kind
        else _by_number(int(number), os_error=kind.startswith("os"))
        for kind, number in _NUMBER.findall(str(error))
    ]
    return [outcome for outcome in found if outcome is not None]


def _windows_number(error: OSError) -> int:
    """Windows' own number of the error; 0 if it has none."""
    number = getattr(error, "winerror", None)
    if not isinstance(number, int) and (error.errno or 0) >= _WINSOCK:
        number = error.errno
    return number if isinstance(number, int) else 0


def _by_number(number: int, *, os_error: bool = False) -> Outcome | None:
    # Winsock's numbers are above all of errno's, so they cannot be confused; the
    # others may be, but a library in Rust names the system's own number.
    if number >= _WINSOCK or (os_error and sys.platform == "win32"):
        return _BY_WINERROR.get(number)
    return _BY_ERRNO.get(number)
