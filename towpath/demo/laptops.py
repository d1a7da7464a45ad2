"""Simulated laptops: what they would have measured, said through the real publisher.

The numbers are drawn, not measured; everything after them, enrolment, HTTPS, broker,
journal, is the real thing.
"""

from __future__ import annotations

import random
import uuid

import msgspec

from probes.emodel import estimate_mos
from probes.failure import Outcome
from probes.report import Connection, Place, Report, Result, Whereabouts


class Laptop(msgspec.Struct):
    """One simulated laptop and where it is used today."""

    number: int
    home_site: str
    place: Place
    site: str
    connection: Connection
    rtt_ms: float
    jitter_ms: float
    loss_ratio: float


def fleet(count_each: int = 12) -> list[Laptop]:
    """`count_each` laptops in the town hall, in the library, and at home."""
    dice = random.Random(862)
    made: list[Laptop] = []
    for _ in range(count_each):
        made.append(
            Laptop(
                len(made),
                "town-hall",
                "office",
                "town-hall",
                dice.choice(("wired", "wifi")),
                dice.uniform(3, 8),
                dice.uniform(0.2, 2.0),
                0.0,
            )
        )
    for _ in range(count_each):
        made.append(
            Laptop(
                len(made),
                "library",
                "office",
                "library",
                "wired",
                dice.uniform(8, 14),
                dice.uniform(0.5, 2.5),
                0.0,
            )
        )
    for _ in range(count_each):
        made.append(
            Laptop(
                len(made),
                dice.choice(("town-hall", "library", "depot")),
                "home",
                "",
                dice.choice(("wifi", "wifi", "wired")),
                dice.uniform(14, 38),
                dice.uniform(1.5, 9.0),
                dice.choice((0.0, 0.0, 0.001, 0.004)),
            )
        )
    return made


def report(laptop: Laptop, agent: str, now_ms: int, dice: random.Random) -> Report:
    """What `laptop` says at `now_ms`: one call path, name lookup, web and VPN each."""
    rtt_ms = max(0.5, dice.gauss(laptop.rtt_ms, laptop.rtt_ms * 0.08))
    jitter_ms = max(0.05, dice.gauss(laptop.jitter_ms, laptop.jitter_ms * 0.2))
    loss = laptop.loss_ratio if dice.random() < 0.5 else 0.0
    at_home = laptop.place == "home"
    results = (
        Result(
            "call_path",
            1,
            now_ms,
            Outcome.OK,
            "reflector",
            {
                "rtt_ms": rtt_ms,
                "rtt_min_ms": rtt_ms * 0.9,
                "rtt_p95_ms": rtt_ms + 2 * jitter_ms,
                "jitter_ms": jitter_ms,
                "loss_ratio": loss,
                "mos_estimated": estimate_mos(rtt_ms, jitter_ms, loss),
                "poor": int(loss >= 0.01 or jitter_ms >= 30 or rtt_ms >= 100),
                "sent": 500,
                "received": round(500 * (1 - loss)),
            },
            172_000,
        ),
        Result(
            "name_lookup",
            1,
            now_ms,
            Outcome.OK,
            "resolver",
            {"lookup_ms": dice.uniform(2, 25)},
            180,
        ),
        Result(
            "web",
            1,
            now_ms,
            Outcome.OK,
            "council",
            {
                "connect_ms": rtt_ms,
                "tls_ms": 2 * rtt_ms,
                "first_byte_ms": 40 + rtt_ms,
                "total_ms": 45 + 4 * rtt_ms,
                "status": 200,
            },
            6_000,
        ),
        Result(
            "vpn",
            1,
            now_ms,
            Outcome.OK if at_home else Outcome.NOT_CONNECTED,
            "vpn",
            {"up": int(at_home)},
        ),
    )
    return Report(
        version=1,
        id=uuid.UUID(int=dice.getrandbits(128), version=4).hex,
        agent=agent,
        sent_ms=now_ms,
        software="towpath-demo",
        whereabouts=Whereabouts(
            laptop.place,
            laptop.site,
            laptop.connection,
            "up" if at_home else "down",
        ),
        results=results,
    )
