# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
"""`python -m capture.dissect`: finds UDP in frames, one line of JSON for each.

A line in is `{"link": 1, "frame": "<base64>"}`. The line out is `{}` if there is no UDP
in the frame, or `{"source": "192.0.2.1", "target": …, "source_port": …, "target_port":
…, "dscp": …, "size": …, "payload": "<base64>"}` of the innermost datagram.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import logging
import sys
from typing import Any

# What binds itself to the layers below it when it is imported.
_LAYERS = (
    *("scapy.layers.l2", "scapy.layers.inet", "scapy.layers.inet6"),
    *("scapy.layers.ppp", "scapy.layers.vxlan", "scapy.layers.dot11"),
    *("scapy.layers.l2tp", "scapy.contrib.mpls", "scapy.contrib.geneve"),
    *("scapy.contrib.gtp", "scapy.contrib.erspan", "scapy.contrib.nsh"),
)


def load() -> Any:
    """Loads scapy with the layers that carry others; returns its types of links."""
    # It warns of machines without IPv6 routes; the output is for a program.
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    for name in _LAYERS:
        # Other versions may lack one; then what it reads stays unread.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    return importlib.import_module("scapy.config").conf.l2types


def innermost_udp(packet: Any) -> dict[str, object]:
    """The innermost UDP datagram of a dissected packet; empty if there is none."""
    outer: Any = None
    result: dict[str, object] = {}
    layer = packet
    while layer:
        name = type(layer).__name__
        if name in ("IP", "IPv6"):
            outer = layer
        elif name == "UDP" and outer is not None:
            payload = bytes(layer.payload)
            tos = outer.tos if type(outer).__name__ == "IP" else outer.tc
            result = {
                "source": str(outer.src),
                "target": str(outer.dst),
                "source_port": int(layer.sport),
                "target_port": int(layer.dport),
                "dscp": int(tos) >> 2,
                "size": max(len(payload), int(layer.len or 8) - 8),
                "payload": base64.b64encode(payload).decode("ascii"),
            }
        layer = layer.payload
    return result


def main() -> None:
    """Answers each line of the standard input until it ends."""
    links = load()
    for line in sys.stdin:
        answer: dict[str, object] = {}
        # A frame may be anything; scapy raises anything.
        with contextlib.suppress(Exception):
            asked = json.loads(line)
            kind = links.num2layer.get(asked["link"])
            if kind is not None:
                answer = innermost_udp(kind(base64.b64decode(asked["frame"])))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
