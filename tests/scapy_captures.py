# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
"""`python scapy_captures.py FILE`: a capture of one stream for each encapsulation and
form of RTP, as scapy builds them, a few packets lost. Prints their names by SSRC.

Scapy is GPL-2.0-only, so this is a program of its own, and imports nothing of Towpath.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from collections.abc import Callable
from typing import Any

from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS
from scapy.layers import l2
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    fragment6,
)
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw
from scapy.utils import PcapWriter

PACKETS = 30
START_S = 1_700_000_000
_OUTER = {"src": "10.0.0.1", "dst": "10.0.0.2"}


def Ether() -> Any:  # noqa: N802 - as the layers of scapy
    """With addresses: scapy would ask the network for them, for seconds."""
    return l2.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def _erspan(header: Any, kind: int, sequence: int) -> Any:
    return IP(**_OUTER) / GRE(proto=kind, seqnum_present=sequence) / header / Ether()


def _outer_udp(port: int) -> Any:
    return IP(**_OUTER) / UDP(sport=5555, dport=port)


# What a stream over IPv4 is wrapped in.
WRAPPED: dict[str, Callable[[], Any]] = {
    "plain": Ether,
    "vlan": lambda: Ether() / Dot1Q(vlan=5),
    "q in q": lambda: Ether() / Dot1AD(vlan=7) / Dot1Q(vlan=5),
    "gre": lambda: Ether() / IP(**_OUTER) / GRE(),
    "gre with key and sum": lambda: (
        Ether() / IP(**_OUTER) / GRE(key_present=1, key=5, chksum_present=1)
    ),
    "vxlan": lambda: Ether() / _outer_udp(4789) / VXLAN(vni=5) / Ether(),
    "vxlan over ipv6": lambda: (
        Ether()
        / IPv6(src="2001:db8::1", dst="2001:db8::2")
        / UDP(sport=5555, dport=4789)
        / VXLAN(vni=5)
        / Ether()
        / Dot1Q(vlan=3)
    ),
    "erspan 1": lambda: Ether() / _erspan(ERSPAN_I(), 0x88BE, 0),
    "erspan 2": lambda: Ether() / _erspan(ERSPAN_II(), 0x88BE, 1),
    "erspan 3": lambda: Ether() / _erspan(ERSPAN_III(), 0x22EB, 1),
    "geneve": lambda: Ether() / _outer_udp(6081) / GENEVE(proto=0x6558) / Ether(),
    "mpls": lambda: Ether() / MPLS(label=16, s=0) / MPLS(label=17, s=1),
    "pppoe": lambda: Ether() / PPPoE(sessionid=1) / PPP(proto=0x21),
    "ip in ip": lambda: Ether() / IP(**_OUTER, proto=4),
    "4 in 6": lambda: Ether() / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=4),
}


def _rtp(
    n: int,
    ssrc: int,
    kind: int = 8,
    ticks: int = 160,
    first: int = 0x80,
    size: int = 40,
) -> bytes:
    stamp = n * ticks & 0xFFFFFFFF
    return struct.pack("!BBHII", first, kind, n & 0xFFFF, stamp, ssrc) + bytes(size)


def _v4(payload: bytes, source_port: int = 4000, target_port: int = 5000) -> Any:
    udp = UDP(sport=source_port, dport=target_port) / Raw(payload)
    return IP(src="192.0.2.10", dst="198.51.100.20", tos=184) / udp


def _v6(payload: bytes, *extensions: Any) -> Any:
    packet = IPv6(src="2001:db8::10", dst="2001:db8::20")
    for extension in extensions:
        packet /= extension
    return packet / UDP(sport=4000, dport=5000) / Raw(payload)


def _v4_fragments(n: int, ssrc: int) -> list[Any]:
    whole = _v4(_rtp(n, ssrc, size=900))
    whole.id = n + 1
    return [Ether() / part for part in fragment(whole, 600)]


def _v6_fragments(n: int, ssrc: int) -> list[Any]:
    whole = _v6(_rtp(n, ssrc, size=1400), IPv6ExtHdrFragment(id=n + 1))
    return [Ether() / part for part in fragment6(whole, 800)]


def _indication(sound: bytes) -> bytes:
    peer = struct.pack("!HHBBHI", 0x12, 8, 0, 1, 0x1234, 0x01020304)
    data = struct.pack("!HH", 0x13, len(sound)) + sound + bytes(-len(sound) % 4)
    return struct.pack("!HHI12x", 0x17, len(peer + data), 0x2112A442) + peer + data


def _plain(n: int, ssrc: int, **fields: Any) -> list[Any]:
    return [Ether() / _v4(_rtp(n, ssrc, **fields))]


# Forms of RTP and of IP: the frames of one packet.
FORMS: dict[str, Callable[[int, int], list[Any]]] = {
    "ipv6": lambda n, ssrc: [Ether() / _v6(_rtp(n, ssrc))],
    "ipv6 extensions": lambda n, ssrc: [
        Ether() / _v6(_rtp(n, ssrc), IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt())
    ],
    "ipv4 fragments": _v4_fragments,
    "ipv6 fragments": _v6_fragments,
    "padding": lambda n, ssrc: [Ether() / _v4(_rtp(n, ssrc, first=0xA0) + b"\0\0\0\4")],
    "extension": lambda n, ssrc: [
        Ether() / _v4(_rtp(n, ssrc, first=0x90, size=0) + b"\xbe\xde\0\1" + bytes(44))
    ],
    "csrc": lambda n, ssrc: _plain(n, ssrc, first=0x82),
    "wrap": lambda n, ssrc: _plain(n + 65_500, ssrc),
    "g722": lambda n, ssrc: _plain(n, ssrc, kind=9),
    "g729": lambda n, ssrc: _plain(n, ssrc, kind=18, size=20),
    "opus": lambda n, ssrc: _plain(n, ssrc, kind=111, ticks=960),
    "red of a browser": lambda n, ssrc: _plain(n, ssrc, kind=63, ticks=960),
    "turn channel": lambda n, ssrc: [
        Ether() / _v4(struct.pack("!HH", 0x4001, 52) + _rtp(n, ssrc), 50_000, 3478)
    ],
    "turn indication": lambda n, ssrc: [
        Ether() / _v4(_indication(_rtp(n, ssrc)), 3478, 50_000)
    ],
    "another sender, same ports": lambda n, ssrc: _plain(n + 777, ssrc),
}


def main(path: str) -> None:
    """Writes the capture."""
    chance = random.Random(4)
    frames: list[tuple[float, Any]] = []
    names: dict[str, str] = {}
    for ssrc, name in enumerate([*WRAPPED, *FORMS], 0x100):
        names[f"0x{ssrc:08X}"] = name
        for n in range(PACKETS):
            if 5 < n < PACKETS - 5 and chance.random() < 0.1:
                continue
            at_s = START_S + n * 0.02 + chance.randrange(8000) / 1e6
            if name in FORMS:
                parts = FORMS[name](n, ssrc)
            else:
                parts = [WRAPPED[name]() / _v4(_rtp(n, ssrc))]
            frames += [(at_s + at / 1e5, part) for at, part in enumerate(parts)]
    with PcapWriter(path, linktype=1) as writer:
        for at_s, frame in sorted(frames, key=lambda one: one[0]):
            frame.time = at_s
            writer.write(frame)
    print(json.dumps(names))


if __name__ == "__main__":
    main(sys.argv[1])
