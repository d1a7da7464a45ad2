"""Wi-Fi from the Linux kernel: generic netlink, family nl80211.

Three unprivileged requests: the interfaces, the station (the access point as the driver
sees it) and the survey (noise). The numbers come from linux/nl80211.h, which only adds
new ones. Replies are bounded in messages, octets and time. The SSID is not read.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import msgspec

from probes.platforms.system_facts import (
    WifiLink,
    common_channel,
    hash_bssid,
    plausible_dbm,
)
from probes.wire.failure import Outcome

TIMEOUT_S = 2.0
MAX_ANSWERS = 64
_NETLINK_GENERIC = 16
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_CONTROL_FAMILY, _GET_FAMILY = 0x10, 3
_FAMILY_ID, _FAMILY_NAME = 1, 2
_GET_INTERFACE, _GET_STATION, _GET_SURVEY = 5, 17, 50
_IFINDEX, _IFNAME, _IFTYPE, _MAC, _STA_INFO = 3, 4, 5, 6, 21
_FREQUENCY, _SURVEY_INFO, _CHANNEL_WIDTH, _MLO_LINKS = 38, 84, 159, 312
_STATION = 2
_SIGNAL, _TX_RATE, _TX_PACKETS, _TX_RETRIES, _SIGNAL_AVG, _RX_RATE = (
    7,
    8,
    10,
    11,
    13,
    14,
)
_SURVEY_FREQUENCY, _SURVEY_NOISE, _SURVEY_IN_USE = 1, 2, 3
_RATE, _MCS, _RATE32, _VHT_MCS, _HE_MCS, _EHT_MCS = 1, 2, 5, 6, 13, 19
_WIDTHS = {0: 20, 1: 20, 2: 40, 3: 80, 4: 160, 5: 160, 13: 320}

Attributes = dict[int, bytes]


class Message(msgspec.Struct, frozen=True):
    """One netlink message: its type and its payload."""

    kind: int
    payload: bytes


def parse_messages(datagram: bytes) -> list[Message]:
    """The messages in a datagram, up to the first that is invalid. Pure."""
    messages: list[Message] = []
    at = 0
    while at + 16 <= len(datagram) and len(messages) < 1_000:
        length, kind = struct.unpack_from("=IH", datagram, at)
        if length < 16 or at + length > len(datagram):
            break
        messages.append(Message(kind, datagram[at + 16 : at + length]))
        at += (length + 3) & ~3
    return messages


def parse_attributes(payload: bytes) -> Attributes:
    """Attributes by type, without the flags for nesting and byte order. The first of a
    type counts. Pure."""
    attributes: Attributes = {}
    at = 0
    while at + 4 <= len(payload):
        length, kind = struct.unpack_from("=HH", payload, at)
        if length < 4 or at + length > len(payload):
            break
        attributes.setdefault(kind & 0x3FFF, payload[at + 4 : at + length])
        at += (length + 3) & ~3
    return attributes


def parse_link(
    interface: Attributes, station: Attributes | None, noise_dbm: int | None, key: bytes
) -> WifiLink:
    """The link, from the attributes of an interface and its station. Pure."""
    name = interface.get(_IFNAME, b"").split(b"\0")[0].decode("ascii", "replace")[:40]
    if station is None:
        return WifiLink(connected=False, interface=name)
    info = parse_attributes(station.get(_STA_INFO, b""))
    band, channel, width = _channel(interface)
    sent, received = (
        parse_attributes(info.get(_TX_RATE, b"")),
        parse_attributes(info.get(_RX_RATE, b"")),
    )
    signal = _number(info.get(_SIGNAL), "=b")
    if signal is None or signal == 0:
        signal = _number(info.get(_SIGNAL_AVG), "=b")
    mac = station.get(_MAC, b"")
    return WifiLink(
        connected=True,
        interface=name,
        signal_dbm=plausible_dbm(signal),
        noise_dbm=noise_dbm,
        rx_bps=_rate(received),
        tx_bps=_rate(sent),
        band_ghz=band,
        channel=channel,
        width_mhz=width,
        standard=_standard(sent) or _standard(received),
        cell=hash_bssid(mac.hex(":"), key) if len(mac) == 6 else "",
        tx_packets=_number(info.get(_TX_PACKETS), "=I"),
        tx_retries=_number(info.get(_TX_RETRIES), "=I"),
    )


def _channel(interface: Attributes) -> tuple[float | None, int | None, int | None]:
    """(band, channel, width). Wi-Fi 7 has several links at once; a value that differs
    between them is None."""
    links = [
        parse_attributes(link)
        for link in parse_attributes(interface.get(_MLO_LINKS, b"")).values()
    ]
    links = [link for link in links if _FREQUENCY in link] or [interface]
    frequencies = [_number(link.get(_FREQUENCY), "=I") for link in links]
    widths = {_number(link.get(_CHANNEL_WIDTH), "=I") for link in links}
    code = widths.pop() if len(widths) == 1 else None
    width = None if code is None else _WIDTHS.get(code)
    known = [mhz for mhz in frequencies if mhz is not None]
    return *common_channel(known, width), width


def channel_noise(surveys: list[Attributes]) -> int | None:
    """The noise of the channel in use, from the survey replies. Pure."""
    for survey in surveys:
        info = parse_attributes(survey.get(_SURVEY_INFO, b""))
        if _SURVEY_IN_USE in info:
            return plausible_dbm(_number(info.get(_SURVEY_NOISE), "=b"))
    return None


def wifi(key: bytes) -> list[WifiLink] | Outcome:
    """The links of all station interfaces. Returns `not_present` if there is none,
    `not_supported` if the kernel has no nl80211."""
    try:
        with contextlib.closing(_NetlinkSocket()) as kernel:
            family = kernel.family(b"nl80211")
            if family is None:
                return Outcome.NOT_SUPPORTED
            links = [
                _read_link(kernel, family, interface, key)
                for interface in kernel.dump(family, _GET_INTERFACE)
                if _number(interface.get(_IFTYPE), "=I") == _STATION
                and _IFINDEX in interface
            ]
    except TimeoutError:
        return Outcome.TIMEOUT
    except OSError:
        return Outcome.NOT_SUPPORTED
    return links or Outcome.NOT_PRESENT


def _read_link(
    kernel: _NetlinkSocket, family: int, interface: Attributes, key: bytes
) -> WifiLink:
    index = _attribute(_IFINDEX, interface[_IFINDEX])
    stations = list(kernel.dump(family, _GET_STATION, index))
    noise = channel_noise(list(kernel.dump(family, _GET_SURVEY, index)))
    return parse_link(interface, stations[0] if stations else None, noise, key)


class _NetlinkSocket:
    """One netlink socket; call `close()` at the end."""

    def __init__(self) -> None:
        # The type checker does not know AF_NETLINK for other systems.
        self._socket = socket.socket(
            getattr(socket, "AF_NETLINK", 16), socket.SOCK_RAW, _NETLINK_GENERIC
        )
        self._socket.settimeout(TIMEOUT_S)
        self._socket.bind((0, 0))
        self._number = 0

    def close(self) -> None:
        self._socket.close()

    def family(self, name: bytes) -> int | None:
        attributes = _attribute(_FAMILY_NAME, name + b"\0")
        self._send(_CONTROL_FAMILY, _GET_FAMILY, _REQUEST, attributes)
        for message in parse_messages(self._socket.recv(65_536)):
            if message.kind == _CONTROL_FAMILY:
                family_id = parse_attributes(message.payload[4:]).get(_FAMILY_ID)
                return _number(family_id, "=H")
        return None

    def dump(
        self, family: int, command: int, attributes: bytes = b""
    ) -> Iterator[Attributes]:
        """The replies to a dump request; none if the driver refuses it."""
        self._send(family, command, _REQUEST | _DUMP, attributes)
        replies: list[Attributes] = []
        for _ in range(MAX_ANSWERS):
            for message in parse_messages(self._socket.recv(65_536)):
                if message.kind in {_DONE, _ERROR}:
                    yield from replies
                    return
                if message.kind == family and len(replies) < MAX_ANSWERS:
                    replies.append(parse_attributes(message.payload[4:]))
        yield from replies

    def _send(self, family: int, command: int, flags: int, attributes: bytes) -> None:
        self._number += 1
        body = struct.pack("=BBH", command, 1, 0) + attributes
        head = struct.pack("=IHHII", 16 + len(body), family, flags, self._number, 0)
        self._socket.send(head + body)


def _attribute(kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + value + padding


def _number(value: bytes | None, form: str) -> int | None:
    if value is None or len(value) < struct.calcsize(form):
        return None
    return int(struct.unpack_from(form, value)[0])


def _rate(rate: Attributes) -> float | None:
    """The rate in bit/s; the kernel's unit is 100 kbit/s."""
    value = _number(rate.get(_RATE32), "=I") or _number(rate.get(_RATE), "=H")
    return value * 1e5 if value else None


def _standard(rate: Attributes) -> str:
    for attribute, standard in (
        (_EHT_MCS, "802.11be"),
        (_HE_MCS, "802.11ax"),
        (_VHT_MCS, "802.11ac"),
        (_MCS, "802.11n"),
    ):
        if attribute in rate:
            return standard
    return ""
