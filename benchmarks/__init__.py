"""Figures, measured here and now: each module's `run()` measures one thing, with the
peer in the same run where there is one, and returns its figures."""

import sys
from pathlib import Path

# Peers are started by what starts the tests' servers.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
