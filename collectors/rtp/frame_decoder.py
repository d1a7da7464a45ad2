"""Finds the UDP datagram in a frame, through VLANs and tunnels. Pure.

Known: Ethernet with any number of VLAN tags, loopback, raw IP, Linux cooked (1 and 2),
IPv4, IPv6, fragments, MPLS, PPPoE, IP in IP, GRE, ERSPAN (I, II, III), VXLAN and
GENEVE. What is wrapped in something else is counted as `unknown`, and handed out for a
dissector that knows more.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import NamedTuple

from collectors.rtp.capture_file import (
    COOKED,
    COOKED_2,
    ETHERNET,
    LOOP,
    NULL,
    RAW,
    RAW_TOO,
)

READ_LINKS = {NULL, ETHERNET, RAW, LOOP, COOKED, COOKED_2, *RAW_TOO}
IPV4, IPV6 = 0x0800, 0x86DD
_VLANS = {0x8100, 0x88A8, 0x9100, 0x9200}
_BRIDGED, _ERSPAN, _ERSPAN_3 = 0x6558, 0x88BE, 0x22EB
_MPLS, _PPPOE, _PPP = {0x8847, 0x8848}, 0x8864, {0x0021: IPV4, 0x0057: IPV6}
# NSH, provider backbone bridges, VNTag: they carry IP, but are not read here.
_WRAPPERS = {0x894F, 0x88E7, 0x8926}
# L2TP, GTP-U, CAPWAP, Teredo.
_WRAPPER_PORTS = {1701, 2152, 5247, 3544}
_VXLAN_PORTS, _GENEVE_PORT = {4789, 8472}, 6081
_NO_NEXT_HEADER = {0, 43, 60}
_TCP, _UDP, _GRE, _IPIP, _IP6IP, _FRAGMENT, _AH = 6, 17, 47, 4, 41, 44, 51
# A frame in a frame in a frame: nobody nests deeper.
_MOST_LAYERS = 12
# Datagrams whose other fragments are awaited, and how much each can have.
_MOST_WAITING, _MOST_DATAGRAM_BYTES = 256, 65_535


class Datagram(NamedTuple):
    """A UDP datagram, or the segment of TCP at `tcp_sequence`. `size` is that of its
    payload on the wire, of which `payload` may be only the beginning."""

    source: bytes
    target: bytes
    source_port: int
    target_port: int
    dscp: int
    payload: bytes
    size: int
    tcp_sequence: int | None = None


class FrameDecoder:
    """Decodes frame after frame. `counts` says what became of them: `udp`, `other` (no
    UDP), `fragment` (waits for the rest), `damaged`, `unknown` (wrapped in something
    that is not read here; `is_unknown` is then true of the last frame). `with_tcp`
    returns TCP segments, too, and counts them as `tcp`."""

    def __init__(self, with_tcp: bool = False) -> None:
        self._with_tcp = with_tcp
        self.counts: Counter[str] = Counter()
        self.is_unknown = False
        self._waiting: dict[tuple[bytes, bytes, int, int], _Pieces] = {}

    def decode(self, link: int, frame: bytes) -> Datagram | None:
        """The datagram of a frame, or None if it has none."""
        self.is_unknown = False
        try:
            result = self._from_link(link, frame)
        except (struct.error, IndexError):
            result = "damaged"
        if isinstance(result, str):
            self.counts[result] += 1
            self.is_unknown = result == "unknown"
            return None
        self.counts["udp" if result.tcp_sequence is None else "tcp"] += 1
        return result

    def forget_fragments(self) -> None:
        """Forgets what waits for the rest of its datagram."""
        self._waiting.clear()

    def _from_link(self, link: int, frame: bytes) -> Datagram | str:
        if link == ETHERNET:
            return self._ethernet(frame, 0, 0)
        if link == COOKED:
            return self._typed(_short(frame, 14), frame, 16, 0)
        if link == COOKED_2:
            return self._typed(_short(frame, 0), frame, 20, 0)
        if link in (NULL, LOOP):
            # The family is in the byte order of the machine that captured it; the
            # version of IP is in the packet anyhow.
            return self._ip(frame, 4, 0)
        return self._ip(frame, 0, 0) if link in READ_LINKS else "unknown"

    def _ethernet(self, frame: bytes, at: int, depth: int) -> Datagram | str:
        return self._typed(_short(frame, at + 12), frame, at + 14, depth)

    def _typed(self, kind: int, frame: bytes, at: int, depth: int) -> Datagram | str:
        while kind in _VLANS:
            kind = _short(frame, at + 2)
            at += 4
        if kind in (IPV4, IPV6):
            return self._ip(frame, at, depth)
        if kind in _MPLS:
            return self._mpls(frame, at, depth)
        if kind == _PPPOE:
            kind = _PPP.get(_short(frame, at + 6), 0)
            return self._ip(frame, at + 8, depth) if kind else "other"
        return "unknown" if kind in _WRAPPERS else "other"

    def _mpls(self, frame: bytes, at: int, depth: int) -> Datagram | str:
        """RFC 3032: labels up to the one with the bottom bit. The first four bits after
        it tell IP from the control word of a pseudowire (RFC 4448)."""
        while not frame[at + 2] & 1:
            at += 4
        at += 4
        if frame[at] >> 4 == 0:
            return self._ethernet(frame, at + 4, depth + 1)
        return self._ip(frame, at, depth)

    def _ip(self, frame: bytes, at: int, depth: int) -> Datagram | str:
        if depth > _MOST_LAYERS:
            return "damaged"
        version = frame[at] >> 4
        if version == 4:
            return self._ipv4(frame, at, depth)
        return self._ipv6(frame, at, depth) if version == 6 else "other"

    def _ipv4(self, frame: bytes, at: int, depth: int) -> Datagram | str:
        head, tos, length, number, flags = struct.unpack_from("!BBHHH", frame, at)
        protocol = frame[at + 9]
        source, target = frame[at + 12 : at + 16], frame[at + 16 : at + 20]
        start = at + (head & 15) * 4
        # 0: the card splits the packet later (TSO). Else what is beyond is padding.
        end = at + length if length else len(frame)
        if len(target) < 4 or start < at + 20 or end < start:
            return "damaged"
        body = frame[start:end]
        size = end - start
        if flags & 0x3FFF and len(body) < size:
            # Cut when it was captured, so not to be joined; the first has the headers.
            if flags & 0x1FFF or protocol != _UDP:
                return "fragment"
            size = _MOST_DATAGRAM_BYTES
        elif flags & 0x3FFF:
            key = (source, target, number, protocol)
            whole = self._join(key, (flags & 0x1FFF) * 8, body, bool(flags & 0x2000))
            if whole is None:
                return "fragment"
            body, size = whole, len(whole)
        return self._above(protocol, source, target, tos >> 2, body, size, depth)

    def _ipv6(self, frame: bytes, at: int, depth: int) -> Datagram | str:
        word, length, protocol = struct.unpack_from("!IHB", frame, at)
        source, target = frame[at + 8 : at + 24], frame[at + 24 : at + 40]
        if len(target) < 16:
            return "damaged"
        end = at + 40 + length if length else len(frame)
        body = frame[at + 40 : end]
        size = end - at - 40
        for _ in range(_MOST_LAYERS):
            if protocol in _NO_NEXT_HEADER:
                protocol, skip = body[0], (body[1] + 1) * 8
            elif protocol == _AH:
                protocol, skip = body[0], (body[1] + 2) * 4
            elif protocol == _FRAGMENT:
                protocol, _, place, number = struct.unpack_from("!BBHI", body)
                if place & 0xFFF9 and len(body) < size:
                    if place & 0xFFF8 or protocol != _UDP:
                        return "fragment"
                    body, size = body[8:], _MOST_DATAGRAM_BYTES
                    continue
                if place & 0xFFF9:
                    key = (source, target, number, protocol)
                    whole = self._join(key, place & 0xFFF8, body[8:], bool(place & 1))
                    if whole is None:
                        return "fragment"
                    body, size = whole, len(whole)
                    continue
                skip = 8
            else:
                dscp = word >> 22 & 63
                return self._above(protocol, source, target, dscp, body, size, depth)
            body, size = body[skip:], size - skip
        return "damaged"

    def _join(
        self, key: tuple[bytes, bytes, int, int], at: int, data: bytes, more: bool
    ) -> bytes | None:
        """The whole datagram when its last missing fragment has come."""
        pieces = self._waiting.setdefault(key, _Pieces())
        pieces.put(at, data, more)
        whole = pieces.whole()
        if whole is not None:
            del self._waiting[key]
        elif len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        return whole

    def _above(
        self,
        protocol: int,
        source: bytes,
        target: bytes,
        dscp: int,
        body: bytes,
        size: int,
        depth: int,
    ) -> Datagram | str:
        """What IP carries."""
        if protocol == _UDP:
            from_port, to_port, length = struct.unpack_from("!HHH", body)
            if length and not 8 <= length <= max(size, 8):
                return "damaged"
            size = (length or size) - 8
            if to_port in _VXLAN_PORTS and len(body) > 16 and body[8] & 8:
                return self._ethernet(body, 16, depth + 1)
            if to_port == _GENEVE_PORT and len(body) > 16:
                # RFC 8926: the options' length in words, and what is carried.
                at = 16 + 4 * (body[8] & 63)
                kind = _short(body, 10)
                if kind == _BRIDGED:
                    return self._ethernet(body, at, depth + 1)
                return self._typed(kind, body, at, depth + 1)
            if to_port in _WRAPPER_PORTS or from_port in _WRAPPER_PORTS:
                return "unknown"
            payload = body[8 : 8 + size]
            return Datagram(source, target, from_port, to_port, dscp, payload, size)
        if protocol == _TCP and self._with_tcp:
            from_port, to_port, sequence = struct.unpack_from("!HHI", body)
            start = (body[12] >> 4) * 4
            ends = source, target, from_port, to_port
            return Datagram(*ends, dscp, body[start:], size - start, sequence)
        if protocol == _GRE:
            return self._gre(body, depth + 1)
        if protocol in (_IPIP, _IP6IP):
            return self._ip(body, 0, depth + 1)
        return "other"

    def _gre(self, body: bytes, depth: int) -> Datagram | str:
        flags, kind = struct.unpack_from("!HH", body)
        if flags & 7:
            return "unknown"
        at = 4 + sum(4 for bit in (0x8000, 0x2000, 0x1000) if flags & bit)
        if kind == _BRIDGED:
            return self._ethernet(body, at, depth)
        if kind == _ERSPAN:
            # Type I has neither a sequence number nor a header of its own.
            return self._ethernet(body, at + 8 if flags & 0x1000 else at, depth)
        if kind == _ERSPAN_3:
            optional = body[at + 11] & 1
            return self._ethernet(body, at + 12 + 8 * optional, depth)
        return self._typed(kind, body, at, depth)


class _Pieces:
    """The fragments of one datagram: RFC 791 section 3.2."""

    __slots__ = ("_held", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: dict[int, bytes] = {}
        self._size: int | None = None
        self._held = 0

    def put(self, at: int, data: bytes, more: bool) -> None:
        if at + len(data) > _MOST_DATAGRAM_BYTES:
            return
        if at not in self._parts:
            # Fragments that overlap can have more than the whole.
            self._held += len(data)
            if self._held > _MOST_DATAGRAM_BYTES:
                return
            self._parts[at] = data
        if not more:
            self._size = at + len(data)

    def whole(self) -> bytes | None:
        if self._size is None:
            return None
        joined = bytearray()
        for at, data in sorted(self._parts.items()):
            if at > len(joined):
                return None
            joined[at:] = data
        return bytes(joined) if len(joined) >= self._size else None


def _short(frame: bytes, at: int) -> int:
    return frame[at] << 8 | frame[at + 1]
