"""Incidents with known causes, and what is paged: precision and recall of the cause
that each message names, messages per incident, time to page, pages of a healthy week.

A council in virtual time (`incident_council`) has faults (`incident_faults`); the rows
that follow (`incident_rows`) go through the real engine (`incident_engine`), which is
restarted now and then. A healthy week has what is usual (`incident_life`), and the end
of summer time.

`python -m benchmarks incidents --seed 7 --mix line_down=3,core_dead` chooses other
incidents; without `--mix`, each kind has the same share.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.incident_council import Council, build_council
from benchmarks.incident_engine import Message, VirtualEngine
from benchmarks.incident_faults import Fault
from benchmarks.incident_kinds import KINDS
from benchmarks.incident_life import Life, maintenance_of, usual_life
from benchmarks.incident_rows import STEP_MS, World
from benchmarks.incident_schedule import START_MS, schedule
from benchmarks.incident_scores import Scores, named_cause, score

# Summer time ends on the Sunday after.
_QUIET_FROM = "2026-10-19"
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks incidents")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--incidents", type=int, default=100)
    parser.add_argument(
        "--overlaps", type=int, default=8, help="second faults within or around a first"
    )
    parser.add_argument("--days", type=float, default=3.0, help="of incidents")
    parser.add_argument("--quiet-days", type=float, default=7.0, help="healthy ones")
    parser.add_argument("--quiet-from", default=_QUIET_FROM, help="a Monday")
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
        faults = schedule(
            council, dice, chosen.incidents, chosen.mix, until_ms, chosen.overlaps
        )
        if not faults:
            parser.error("the council has no such things, or the time is too short")
        started_s = time.perf_counter()
        engine = simulate(council, faults, chosen.seed, until_ms)
        scores = score(faults, engine.messages)
        figures["incidents"] = _summary(scores, faults, engine, council)
        figures["incidents"]["took_s"] = time.perf_counter() - started_s
        _print(scores, chosen.list)
    if chosen.quiet_days:
        monday = datetime.fromisoformat(chosen.quiet_from).replace(tzinfo=UTC)
        from_ms = round(monday.timestamp() * 1000)
        until_ms = from_ms + round(chosen.quiet_days * _DAY_MS)
        life = usual_life(council, chosen.seed, from_ms, chosen.quiet_days)
        started_s = time.process_time()
        engine = simulate(
            council, life.happenings, chosen.seed + 1, until_ms, from_ms, life
        )
        figures["healthy"] = {
            **_quiet(engine, chosen.quiet_days, from_ms),
            "happenings": len(life.happenings),
            "restarts": len(life.restarts),
            "cpu_s": round(time.process_time() - started_s),
        }
        _print_false(engine.messages)
    for name, part in figures.items():
        print(f"{name}: " + ", ".join(f"{k} {v}" for k, v in part.items()))
    return figures


def simulate(
    council: Council,
    faults: Sequence[Fault],
    seed: int,
    until_ms: int,
    from_ms: int = START_MS,
    life: Life | None = None,
) -> VirtualEngine:
    """Runs the council and the engine until `until_ms`. Without a `life`, Towpath is
    restarted every eight hours or so."""
    world = World(council, faults, seed, from_ms)
    if life is None:
        planned = [silence for fault in faults for silence in maintenance_of(fault)]
        dice = random.Random(f"restarts {seed}")
        hours = range(from_ms + 8 * _HOUR_MS, until_ms, 8 * _HOUR_MS)
        restarts = [at_ms + dice.randrange(_HOUR_MS) for at_ms in hours]
        life = Life((), tuple(planned), tuple(restarts))
    waiting = sorted(life.restarts)
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        engine = VirtualEngine(council.estate, Path(folder), from_ms, life.silences)
        with engine:
            for now_ms in range(from_ms + STEP_MS, until_ms + 1, STEP_MS):
                if waiting and waiting[0] <= now_ms:
                    del waiting[0]
                    engine.restart()
                if (now_ms - from_ms) % _HOUR_MS == 2 * _MINUTE_MS:
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


def _quiet(engine: VirtualEngine, days: float, from_ms: int) -> dict[str, Any]:
    first = [m for m in engine.messages if m.page.kind == "page"]
    start = [m for m in first if m.time_ms - from_ms <= 10 * _MINUTE_MS]
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
            at = datetime.fromtimestamp(message.time_ms / 1000, UTC)
            print(f"  false, {at:%a %d %b %H:%M:%S}: {message.page.subject}")
