"""The ndt7 protocol (M-Lab, specification v0.11): what both ends agree on. Pure.

One TCP connection a direction, WebSocket with its own subprotocol. The end that sends
makes load with binary messages; both may send measurements as JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from probes.wire.tcp_info import TcpInfo

SUBPROTOCOL = "net.measurementlab.ndt.v7"
DOWNLOAD, UPLOAD = "/ndt/v7/download", "/ndt/v7/upload"
SECONDS = 10.0
# The receiver may close the door after this long.
MOST_SECONDS = 13.0
HANDSHAKE_S = 10.0
FIRST_MESSAGE, LARGEST_SENT, LARGEST_TAKEN = 1 << 13, 1 << 20, 1 << 24
# What waits to be sent when the time is over comes too late: no more than this, and
# no less than one message.
WAITING_BYTES = 128 << 10
MEASUREMENT_BYTES = 16_384
# Not of the specification: a reflector says what it holds a test to, in bit/s.
CAP_HEADER = "Towpath-Test-Cap"
# Nor this: a client tells in its query after how many octets a download may end.
MOST_BYTES_KEY = "towpath_most_bytes"
# M-Lab's name for what shows a server that a test was allowed.
TOKEN_KEY = "access_token"
# Servers want to know with whom they speak; this is all they are told.
_ABOUT = {"client_name": "towpath"}


class Measured(NamedTuple):
    """What a counterpart said; None where it did not, or not in a usable way."""

    app_bytes: int | None = None
    app_us: int | None = None
    tcp_received: int | None = None
    tcp_us: int | None = None
    tcp_sent: int | None = None
    tcp_again: int | None = None

    @property
    def retransmitted(self) -> float | None:
        """The share of what it sent that it sent again."""
        if not self.tcp_sent or self.tcp_again is None:
            return None
        return min(self.tcp_again / self.tcp_sent, 1.0)

    @property
    def elapsed_us(self) -> int:
        return self.tcp_us or self.app_us or 0

    def received_bps(self) -> float | None:
        """What it received, by its kernel's count or else its own."""
        for octets, micros in (
            (self.tcp_received, self.tcp_us),
            (self.app_bytes, self.app_us),
        ):
            if octets is not None and micros:
                return 8e6 * octets / micros
        return None


def url_of(base: str, path: str, more: dict[str, str] | None = None) -> str:
    """`wss://host[:port]{path}?…` for a base such as `https://host` or `wss://host/`,
    with who asks and `more` in its query. A key twice is an error to servers: a base's
    own query comes first."""
    parts = urlsplit(base if "://" in base else f"wss://{base}")
    scheme = {"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme)
    prefix = parts.path.rstrip("/")
    for known in (DOWNLOAD, UPLOAD, "/ndt/v7"):
        prefix = prefix.removesuffix(known)
    asked = _ABOUT | (more or {}) | dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((scheme, parts.netloc, prefix + path, urlencode(asked), ""))


def with_token(base: str, token: str) -> str:
    """`base` with `token` in its query, if there is one and `base` has none itself."""
    if not token or not base or f"{TOKEN_KEY}=" in base:
        return base
    mark = "&" if "?" in base else "?"
    return f"{base}{mark}{urlencode({TOKEN_KEY: token})}"


def message_sizes() -> Iterator[int]:
    """Sizes of the binary messages, one after the other: doubled while a message is
    less than a sixteenth of what has been sent."""
    size, total = FIRST_MESSAGE, 0
    while True:
        yield size
        total += size
        if size < LARGEST_SENT and size < total / 16:
            size *= 2


def measurement(
    test: str,
    octets: int,
    elapsed_us: int,
    origin: str,
    tcp: TcpInfo | None = None,
    connection: dict[str, str] | None = None,
) -> str:
    """A measurement as JSON. `octets` is what this end sent or received."""
    said: dict[str, Any] = {
        "AppInfo": {"ElapsedTime": elapsed_us, "NumBytes": octets},
        "Origin": origin,
        "Test": test,
    }
    if connection is not None:
        said["ConnectionInfo"] = connection
    if tcp is not None:
        said["TCPInfo"] = {
            "BusyTime": tcp.busy_us,
            "BytesAcked": tcp.bytes_acked,
            "BytesReceived": tcp.bytes_received,
            "BytesSent": tcp.bytes_sent,
            "BytesRetrans": tcp.bytes_retransmitted,
            "ElapsedTime": elapsed_us,
            "MinRTT": tcp.min_rtt_us,
            "RTT": tcp.rtt_us,
            "RTTVar": tcp.rtt_var_us,
            "RWndLimited": tcp.rwnd_limited_us,
            "SndBufLimited": tcp.sndbuf_limited_us,
        }
    return msgspec.json.encode(said).decode()


def read_measurement(text: str | bytes) -> Measured | None:
    """What a measurement says; None where it is none. Anything may be missing."""
    if len(text) > MEASUREMENT_BYTES:
        return None
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    if not isinstance(said, dict):
        return None
    app, tcp = said.get("AppInfo"), said.get("TCPInfo")
    return Measured(
        app_bytes=_count(app, "NumBytes"),
        app_us=_count(app, "ElapsedTime"),
        tcp_received=_count(tcp, "BytesReceived"),
        tcp_us=_count(tcp, "ElapsedTime"),
        tcp_sent=_count(tcp, "BytesSent"),
        tcp_again=_count(tcp, "BytesRetrans"),
    )


def _count(said: object, name: str) -> int | None:
    value = said.get(name) if isinstance(said, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Beyond 2^53 JSON has no whole numbers to speak of; NaN fails both comparisons.
    return int(value) if 0 <= value <= 2**53 else None
