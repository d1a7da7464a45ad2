"""The layout of the usual packet of a call, for the two places that read it at once:
Ethernet, IPv4 without options, UDP, RTP."""

from __future__ import annotations

import struct

# Ethernet type; version and length of IPv4, TOS, fragment, protocol, addresses; ports;
# RTP: marker and payload type, sequence, timestamp, SSRC. What is between is skipped.
USUAL = struct.Struct("!12xHBB4xHxB2x4s4sHH5xBHII")
USUAL_BYTES = USUAL.size
IPV4, NO_OPTIONS, UDP, FRAGMENT_BITS = 0x0800, 0x45, 17, 0x3FFF
