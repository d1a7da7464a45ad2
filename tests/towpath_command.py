"""Runs a `towpath` command to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from warm_command import run_to_end

BIN = Path(sys.executable).parent


def towpath(*arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TOWPATH")}
    return run_to_end(arguments, kept, 60)
