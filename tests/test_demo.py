"""`towpath demo` as a newcomer runs it: a process of its own, on real ports, to its
end."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from river import answer, environment
from services import free_port, wait_until

COMMAND = [sys.executable, "-m", "towpath.cli", "demo"]


@pytest.mark.timeout(300)
def test_the_demo_finds_names_and_resolves_its_fault_and_shows_it(
    tmp_path: Path,
) -> None:
    port, keep = free_port(), tmp_path / "kept"
    log = tmp_path / "said"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            # No longer than the story takes.
            [*COMMAND, "--for", "1s", "--port", str(port), "--keep", str(keep)],
            stdout=out,
            stderr=out,
            env={**environment(), "COLUMNS": "300"},
        )
    try:
        page = f"http://127.0.0.1:{port}/"

        def shown(text: str) -> bool:
            return text in answer(page)[1]

        wait_until(lambda: shown("Central Library"), "the status page", 60)
        wait_until(
            lambda: shown("the primary line of Severn Telecom is down"),
            "the cause on the status page",
            120,
        )
        wait_until(lambda: demo.poll() is not None, "its end", 180)
    finally:
        demo.kill()
        demo.wait(10)
    said = log.read_text()
    assert demo.returncode == 0, said
    assert "7 of 7 switches answer over SNMP" in said
    (paged,) = re.findall(r"PAGE .*", said)
    assert "Central Library: the primary line of Severn Telecom is down" in paged
    assert "2 devices" in paged
    assert len(re.findall(r"RESOLVED", said)) == 1
    assert len(re.findall(r"\byes\b", said)) == 6
    assert " NO " not in said
    assert "Traceback" not in said
    # The report tells of one incident: what hung on the line is counted with it.
    with next((keep / "reports").glob("*incidents*.csv")).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1, rows
    assert "primary line" in " ".join(rows[0].values())
    assert (keep / "towpath.toml").exists()


def test_a_length_that_is_none_is_said() -> None:
    done = subprocess.run(
        [*COMMAND, "--for", "soon"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ},
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "soon" in line
