"""Benchmarks. Each module's `run()` measures one thing, and its peer in the same run if
there is one, and returns the figures."""

import sys
from pathlib import Path

# The helpers that start the tests' servers also start the peers.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
