"""Benchmarks take too long for a test, but none may be broken by a change elsewhere."""

from __future__ import annotations

import importlib
import pkgutil
import random

import pytest

import benchmarks
from benchmarks.__main__ import BENCHMARKS
from benchmarks.incident_council import build_council
from benchmarks.incident_schedule import START_MS, schedule

MODULES = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_loaded(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_that_is_named_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").run)


@pytest.mark.parametrize(("sites", "laptops"), [(3, 0), (6, 40), (12, 100)])
def test_a_council_of_any_size_has_incidents_and_nobody_waits_for_a_full_line_at_night(
    sites: int, laptops: int
) -> None:
    day_ms = 86_400_000
    for seed in range(3):
        council = build_council(seed, sites, laptops)
        dice = random.Random(seed)
        faults = schedule(council, dice, 42, "", START_MS + day_ms, overlaps=3)
        # Kinds that need what is not there are left out.
        assert len(faults) > 25
        lines = [f for f in faults if f.kind == "line saturated"]
        assert all(9 <= (f.begin_ms - START_MS) / 3_600_000 < 16 for f in lines)
