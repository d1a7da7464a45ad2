"""Incidents with known causes, and what is paged: precision and recall of the cause
that each message names, messages per incident, time to page, pages of a healthy week.

A council in virtual time (`incident_council`) has faults (`incident_faults`); the rows
that follow (`incident_rows`) go through the real engine (`incident_engine`).

`python -m benchmarks incidents --seed 7 --mix line_down=3,core_dead` chooses other
incidents; without `--mix`, each kind has the same share.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.incident_council import Council, build_council
from benchmarks.incident_engine import Message, VirtualEngine
from benchmarks.incident_faults import Effect, Fault
from benchmarks.incident_kinds import KINDS
from benchmarks.incident_rows import STEP_MS, World
from benchmarks.incident_scores import Scores, named_cause, score

# A Monday, 00:00 UTC.
START_MS = 1_777_852_800_000
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_WARM_MS = 40 * _MINUTE_MS
# After a fault, its alerts end within this time.
_SETTLE_MS = 25 * _MINUTE_MS


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks incidents")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--incidents", type=int, default=100)
    parser.add_argument("--days", type=float, default=3.0, help="of incidents")
    parser.add_argument("--quiet-days", type=float, default=7.0, help="healthy ones")
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--laptops", type=int, default=2_000)
    parser.add_argument("--mix", default="", help=", ".join(KINDS))
    parser.add_argument("--list", action="store_true", help="list every incident")
    chosen = parser.parse_args(list(options))
    figures: dict[str, Any] = {}
    council = build_council(chosen.seed, chosen.sites, chosen.laptops)
    if chosen.incidents:
        until_ms = START_MS + round(chosen.days * _DAY_MS)
        dice = random.Random(chosen.seed)
        faults = schedule(council, dice, chosen.incidents, chosen.mix, until_ms)
        started_s = time.perf_counter()
        engine = simulate(council, faults, chosen.seed, until_ms)
        scores = score(faults, engine.messages)
        figures["incidents"] = _summary(scores, faults, engine, council)
        figures["incidents"]["took_s"] = time.perf_counter() - started_s
        _print(scores, chosen.list)
    if chosen.quiet_days:
        until_ms = START_MS + round(chosen.quiet_days * _DAY_MS)
        engine = simulate(council, (), chosen.seed + 1, until_ms)
        figures["healthy"] = _quiet(engine, chosen.quiet_days)
        _print_false(engine.messages)
    for name, part in figures.items():
        print(f"{name}: " + ", ".join(f"{k} {v}" for k, v in part.items()))
    return figures


def schedule(
    council: Council, dice: random.Random, count: int, mix: str, until_ms: int
) -> list[Fault]:
    """Faults at random times. They overlap, also at one site, but none hides another:
    a fan that fails where the power is off is no incident that anybody could see."""
    shares = dict.fromkeys(KINDS, 1.0)
    if mix:
        parts = [part.partition("=") for part in mix.split(",")]
        shares = {name: float(share or 1) for name, _, share in parts}
    names = dice.choices(tuple(shares), weights=tuple(shares.values()), k=count)
    if not mix and count >= len(KINDS):
        names[: len(KINDS)] = KINDS
    placed: list[tuple[Fault, set[str]]] = []
    for name in names:
        for _ in range(300):
            fault = KINDS[name](council, dice)
            latest_ms = until_ms - fault.lasts_ms - _SETTLE_MS
            begin_ms = dice.randint(START_MS + _WARM_MS, latest_ms)
            if any(
                e.what == "reading" and e.key[0] == "experience" for e in fault.effects
            ):
                # Laptops report while people work.
                day_ms = (begin_ms - START_MS) // _DAY_MS * _DAY_MS
                begin_ms = START_MS + day_ms + dice.randint(9, 15) * _HOUR_MS
            fault = dataclasses.replace(fault, begin_ms=begin_ms)
            touched = _touched(council, fault)
            if begin_ms <= latest_ms and not any(
                _hides(fault, touched, other, others) for other, others in placed
            ):
                placed.append((fault, touched))
                break
    return sorted((fault for fault, _ in placed), key=lambda fault: fault.begin_ms)


def _hides(a: Fault, touched: set[str], b: Fault, others: set[str]) -> bool:
    apart = a.end_ms + _SETTLE_MS < b.begin_ms or b.end_ms + _SETTLE_MS < a.begin_ms
    return not apart and bool(touched & others)


def _touched(council: Council, fault: Fault) -> set[str]:
    """The devices that it makes unreachable, and the things it is about."""
    middle = dataclasses.replace(
        fault,
        begin_ms=0,
        effects=tuple(
            e._replace(from_ms=0, to_ms=fault.lasts_ms) for e in fault.effects
        ),
    )
    world = World(council, [middle], 0, 0)
    world.batches(STEP_MS)
    touched = set(council.devices) - world.reachable
    for effect in fault.effects:
        touched |= set(_things(effect))
    return touched | {cause for cause in fault.causes if ":" in cause}


def _things(effect: Effect) -> Sequence[str]:
    if isinstance(effect.key, str):
        return (effect.key,)
    if effect.what == "cable":
        return (effect.key.a, effect.key.b)
    return [str(part) for part in effect.key[:2]]


def simulate(
    council: Council, faults: Sequence[Fault], seed: int, until_ms: int
) -> VirtualEngine:
    """Runs the council and the engine until `until_ms`."""
    world = World(council, faults, seed, START_MS)
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        with VirtualEngine(council.estate, Path(folder), START_MS) as engine:
            for now_ms in range(START_MS + STEP_MS, until_ms + 1, STEP_MS):
                if (now_ms - START_MS) % _HOUR_MS == 2 * _MINUTE_MS:
                    for batch in world.neighbours(now_ms):
                        engine.learn(batch)
                engine.step(world.batches(now_ms), now_ms)
        return engine


def _summary(
    scores: Scores, faults: Sequence[Fault], engine: VirtualEngine, council: Council
) -> dict[str, Any]:
    delays = [o.delay_s for o in scores.outcomes if o.delay_s is not None]
    return {
        "incidents": len(faults),
        "kinds": len({fault.kind for fault in faults}),
        "devices": len(council.devices),
        "precision": round(scores.precision, 3),
        "recall": round(scores.recall, 3),
        "messages_per_incident": round(scores.pages_per_incident, 3),
        "without_page": scores.without_page,
        "false_pages": len(scores.false_pages),
        "delay_p50_s": round(statistics.median(delays)) if delays else None,
        "series": len(engine.window),
        "evaluation_ms_per_cycle": round(engine.evaluate_s / engine.cycles * 1e3, 2),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _quiet(engine: VirtualEngine, days: float) -> dict[str, Any]:
    first = [m for m in engine.messages if m.page.kind == "page"]
    start = [m for m in first if m.time_ms - START_MS <= 10 * _MINUTE_MS]
    return {"days": days, "pages": len(first), "of_these_at_first_start": len(start)}


def _print(scores: Scores, every: bool) -> None:
    table = Table("kind", "incidents", "named", "messages", "without", "first page, s")
    kinds = Counter(o.fault.kind for o in scores.outcomes)
    for kind, count in sorted(kinds.items()):
        of_kind = [o for o in scores.outcomes if o.fault.kind == kind]
        delays = [o.delay_s for o in of_kind if o.delay_s is not None]
        table.add_row(
            kind,
            str(count),
            str(sum(o.right > 0 for o in of_kind)),
            str(sum(len(o.messages) for o in of_kind)),
            str(sum(not o.messages for o in of_kind)),
            str(round(statistics.median(delays))) if delays else "-",
        )
    Console(width=110).print(table)
    for outcome in scores.outcomes:
        wrong = len(outcome.messages) != 1 or outcome.right != 1
        if every or wrong:
            causes = ", ".join(sorted(outcome.fault.causes))
            print(f"{outcome.fault.kind} ({causes}):")
            for message in outcome.messages:
                after_s = (message.time_ms - outcome.fault.begin_ms) // 1000
                alert = message.page.data["alerts"][0]
                print(f"  +{after_s} s {named_cause(alert)}: {message.page.subject}")
    _print_false(scores.false_pages)


def _print_false(messages: Sequence[Message]) -> None:
    for message in messages[:40]:
        if message.page.kind == "page":
            after_s = (message.time_ms - START_MS) // 1000
            print(f"  false, +{after_s} s: {message.page.subject}")
