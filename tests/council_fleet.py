"""A made-up fleet: laptops in three rings, in every state, and orders to stop."""

from __future__ import annotations

import random
from pathlib import Path

from stop_keys import COUNCIL, line

from collectors.ingest.ingest_config import IngestConfig, PolicyConfig, RegistryConfig
from collectors.ingest.laptop_policies import Freezes, no_freezes
from collectors.ingest.registry_records import EnrolledAgent
from collectors.ingest.stop_order_file import write_lines
from dashboards.web.fleet_page import FleetSource

HOUR_MS = 3_600_000
POLICY = PolicyConfig.model_validate(
    {
        "stop_key": COUNCIL.public,
        "rings": {
            "pilot": {"hurry": False, "cadence_s": {"path": 900}},
            "early": {"report_s": 600},
            "spare": {},
        },
    }
)


def agents(count: int, now_ms: int, seed: int = 1) -> list[EnrolledAgent]:
    """`count` laptops: 20 in the ring pilot, 200 in early, the rest in none."""
    dice = random.Random(seed)
    hour_ms = now_ms - now_ms % HOUR_MS
    laptops = []
    for number in range(count):
        silent = number % 10 == 7
        ago_h = dice.choice([30, 24 * 9, 24 * 40]) if silent else dice.randrange(20)
        laptops.append(
            EnrolledAgent(
                f"{dice.getrandbits(48):012x}-{number:016x}",
                ("town-hall", "depot", "library")[number % 3],
                now_ms - 90 * 24 * HOUR_MS,
                0 if number % 50 == 17 else hour_ms - ago_h * HOUR_MS,
                int(number % 100 == 31),
                ring="pilot" if number < 20 else "early" if number < 220 else "",
                replaced_ms=now_ms if number % 100 == 33 else 0,
                software="towpath-agent/0.2.0"
                if number < 90
                else "towpath-agent/0.1.0",
            )
        )
    return laptops


def fleet_source(
    folder: Path,
    laptops: list[EnrolledAgent],
    now_ms: int,
    *stops: dict[str, object],
    expected: Path | None = None,
    freezes: Freezes = no_freezes,
) -> FleetSource:
    config = IngestConfig(
        registry=RegistryConfig(
            path=folder / "agents.sqlite", key_file=folder / "keys" / "pseudonym.key"
        ),
        policy=POLICY,
    )
    write_lines(
        config.registry.stop_orders,
        [line(at_ms=now_ms - number, **stop) for number, stop in enumerate(stops)],
    )
    return FleetSource(
        config, lambda: now_ms, lambda: laptops, expected, freezes=freezes
    )
