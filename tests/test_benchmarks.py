"""Benchmarks take too long for a test, but none may be broken by a change elsewhere."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import benchmarks
from benchmarks.__main__ import BENCHMARKS

MODULES = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_loaded(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_that_is_named_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").run)
