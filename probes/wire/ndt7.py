"""The ndt7 protocol (M-Lab, specification v0.11), for both ends. Pure.

One TCP connection for each direction, WebSocket with its own subprotocol. The sending
end makes load with binary messages. Both ends may send measurements as JSON text.
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
# The receiver may close the connection after this.
MOST_SECONDS = 13.0
HANDSHAKE_S = 10.0
FIRST_MESSAGE, LARGEST_SENT, LARGEST_TAKEN = 1 << 13, 1 << 20, 1 << 24
# Data that still waits to be sent at the end comes too late. So no more than this may
# wait, and no less than one message.
WAITING_BYTES = 128 << 10
MEASUREMENT_BYTES = 16_384
# Not in the specification: the limit in bit/s that a reflector sets for a test.
CAP_HEADER = "Towpath-Test-Cap"
# Nor is this: after how many octets a download may end, in the client's query.
MOST_BYTES_KEY = "towpath_most_bytes"
# M-Lab's name for the token that allows a test.
TOKEN_KEY = "access_token"
# Servers want to know the client; this is all that they get.
_ABOUT = {"client_name": "towpath"}


class Measured(NamedTuple):
    """A measurement of the other end; None for what is missing or not usable."""

    app_bytes: int | None = None
    app_us: int | None = None
    tcp_received: int | None = None
    tcp_us: int | None = None
    tcp_sent: int | None = None
    tcp_again: int | None = None

    @property
    def retransmitted(self) -> float | None:
        """The share of its data that it sent again."""
        if not self.tcp_sent or self.tcp_again is None:
            return None
        return min(self.tcp_again / self.tcp_sent, 1.0)

    @property
    def elapsed_us(self) -> int:
        return self.tcp_us or self.app_us or 0

    def received_bps(self) -> float | None:
        """Returns its receiving rate, by its kernel's count or else its own."""
        for octets, micros in (
            (self.tcp_received, self.tcp_us),
            (self.app_bytes, self.app_us),
        ):
            if octets is not None and micros:
                return 8e6 * octets / micros
        return None


def url_of(base: str, path: str, more: dict[str, str] | None = None) -> str:
    """Returns `wss://host[:port]{path}?…` for a base such as `https://host` or
    `wss://host/`, with the client's name and `more` in its query. Servers reject a key
    that is there twice, so the base's own query comes first."""
    parts = urlsplit(base if "://" in base else f"wss://{base}")
    scheme = {"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme)
    prefix = parts.path.rstrip("/")
    for known in (DOWNLOAD, UPLOAD, "/ndt/v7"):
        prefix = prefix.removesuffix(known)
    asked = _ABOUT | (more or {}) | dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((scheme, parts.netloc, prefix + path, urlencode(asked), ""))


def with_token(base: str, token: str) -> str:
    """Returns `base` with `token` in its query, unless it has one or there is none."""
    if not token or not base or f"{TOKEN_KEY}=" in base:
        return base
    mark = "&" if "?" in base else "?"
    return f"{base}{mark}{urlencode({TOKEN_KEY: token})}"


def message_sizes() -> Iterator[int]:
    """Yields the sizes of the binary messages: doubled while a message is less than a
    sixteenth of what has been sent."""
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
    """Returns a measurement as JSON. `octets` is what this end sent or received."""
    tree: dict[str, Any] = {
        "AppInfo": {"ElapsedTime": elapsed_us, "NumBytes": octets},
        "Origin": origin,
        "Test": test,
    }
    if connection is not None:
        tree["ConnectionInfo"] = connection
    if tcp is not None:
        tree["TCPInfo"] = {
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
    return msgspec.json.encode(tree).decode()


def read_measurement(text: str | bytes) -> Measured | None:
    """Returns a measurement; None if it is not one. Any field may be missing."""
    if len(text) > MEASUREMENT_BYTES:
        return None
    try:
        tree = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    if not isinstance(tree, dict):
        return None
    app, tcp = tree.get("AppInfo"), tree.get("TCPInfo")
    return Measured(
        app_bytes=_count(app, "NumBytes"),
        app_us=_count(app, "ElapsedTime"),
        tcp_received=_count(tcp, "BytesReceived"),
        tcp_us=_count(tcp, "ElapsedTime"),
        tcp_sent=_count(tcp, "BytesSent"),
        tcp_again=_count(tcp, "BytesRetrans"),
    )


def _count(tree: object, name: str) -> int | None:
    value = tree.get(name) if isinstance(tree, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # JSON has no exact whole numbers beyond 2^53. NaN fails both comparisons.
    return int(value) if 0 <= value <= 2**53 else None
