"""Helpers to list and age the embedded store's files and to run a child process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from stores import DAY, HOUR, START

ROOT = Path(__file__).resolve().parents[1]

DAY_END = START + DAY + 2 * HOUR


def row_files(folder: Path) -> list[Path]:
    """Returns the files with rows. `test_store_rollup.py` tests the rolled-up ones."""
    return sorted(
        path for path in folder.rglob("*.parquet") if "shared-" not in path.as_posix()
    )


@contextlib.contextmanager
def child_process(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def age_files(folder: Path) -> None:
    """Sets the files' times to an hour ago."""
    for path in row_files(folder):
        os.utime(path, (time.time() - 3600,) * 2)


def struct_fields(declared: object) -> dict[str, object]:
    return {name: getattr(declared, name) for name in declared.__struct_fields__}  # type: ignore[attr-defined]
