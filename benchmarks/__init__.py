"""Benchmarks: the `run()` of each module measures one thing and returns its figures. If
there is a peer, it is measured in the same run."""

import sys
from pathlib import Path

# The helpers of the tests start the peers.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
