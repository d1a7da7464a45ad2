"""A narrowband E-model estimate of conversational quality (ITU-T G.107). Pure.

The MOS is an *estimate* from delay, jitter and loss. It does not know the talker, the
headset or the codec in use. Assumptions: the defaults of G.107 (R = 93.2); no echo; the
same delay in both directions; a jitter buffer of twice the jitter, beyond which packets
count as lost; one 20 ms frame; and, unless the codec is known, G.711 with packet-loss
concealment (G.113 appendix I) instead of the codecs of Teams, for which no impairment
values are published.
"""

from __future__ import annotations

import math
from typing import NamedTuple

BEST_R = 93.2
_LEAST_DELAY_MS = 100.0
FRAME_MS = 20.0


class Codec(NamedTuple):
    """Equipment impairment `ie` and robustness to loss `bpl`: ITU-T G.113 app. I."""

    ie: float
    bpl: float


G711 = Codec(0.0, 4.3)
G711_PLC = Codec(0.0, 25.1)
G729A = Codec(11.0, 19.0)
G723_1 = Codec(15.0, 16.1)


def delay_impairment(delay_ms: float) -> float:
    """Idd of G.107 (7-27) for a mouth-to-ear delay Ta, default sensitivity."""
    if delay_ms <= _LEAST_DELAY_MS:
        return 0.0
    x = math.log2(delay_ms / _LEAST_DELAY_MS)
    return 25 * (_root(1 + x**6) - 3 * _root(1 + (x / 3) ** 6) + 2)


def _root(value: float) -> float:
    return math.pow(value, 1 / 6)


def loss_impairment(
    loss_ratio: float, codec: Codec = G711_PLC, burst_ratio: float = 1.0
) -> float:
    """Ie,eff of G.107 (7-29). `loss_ratio` is 0 to 1, `burst_ratio` at least 1."""
    percent = 100 * loss_ratio
    share = percent / (percent / burst_ratio + codec.bpl)
    return codec.ie + (95 - codec.ie) * share


def mos_from_r(r: float) -> float:
    """MOS for a rating R: G.107 annex B. Never below 1, although the polynomial is."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def buffer_ms(jitter_ms: float) -> float:
    """How long a jitter buffer is assumed to hold packets."""
    return 2 * jitter_ms


def estimate(
    rtt_ms: float,
    jitter_ms: float,
    loss_ratio: float,
    burst_ratio: float = 1.0,
    codec: Codec = G711_PLC,
) -> float:
    """The estimated MOS (1 to 4.5) of a call over such a path; see the assumptions."""
    delay_ms = rtt_ms / 2 + buffer_ms(jitter_ms) + FRAME_MS
    loss = loss_impairment(loss_ratio, codec, burst_ratio)
    return mos_from_r(BEST_R - delay_impairment(delay_ms) - loss)
