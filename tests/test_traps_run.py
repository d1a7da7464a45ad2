"""`towpath run` with all roles: a trap from outside is a row that can be queried."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
import services
from river import COMMUNITY, Council, Running, towpath
from waiting import wait_until

from collectors.journal import JournalReader

pytestmark = pytest.mark.service


def send(council: Council, *arguments: str) -> None:
    """Send a trap to the running Towpath, with the right community."""
    subprocess.run(
        [
            services.program("snmptrap"),
            *("-v2c", "-c", COMMUNITY, f"127.0.0.1:{council.traps}", ""),
            *arguments,
        ],
        check=True,
        timeout=20,
        env={**os.environ, "MIBS": ""},
    )


def query(
    council: Council, measurement: str, *arguments: str
) -> list[dict[str, object]]:
    ended = towpath("query", measurement, *arguments, "-c", council.settings, "--json")
    if ended.returncode != 0:
        return []
    rows: list[dict[str, object]] = json.loads(ended.stdout)
    return rows


def test_a_trap_is_stored_counted_and_queried(tmp_path: Path) -> None:
    council = Council(tmp_path)
    council.write_estate({"core-1": services.free_port()})
    council.write_settings()
    with services.running(Running(council)) as running:
        for _ in range(3):
            send(council, "1.3.6.1.6.3.1.1.5.1")
        picks = ["--pick", "text:last", "--pick", "count:sum", "--by", "event"]

        def rows() -> list[dict[str, object]]:
            return query(council, "event", *picks)

        wait_until(
            lambda: any(row.get("count_sum") == 3 for row in rows()),
            "the events in the store",
            40,
            every_s=2,
        )
        assert rows()[0]["event"] == "cold_start"
        assert running.count("traps_listening") == 1


def test_without_its_port_everything_else_runs(tmp_path: Path) -> None:
    council = Council(tmp_path)
    council.write_settings()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", council.traps))
        with services.running(Running(council)) as running:
            assert running.count("traps_not_listening") == 1
            assert services.answers_tcp(council.web)


def test_wrong_settings_are_reported_with_their_line(tmp_path: Path) -> None:
    council = Council(tmp_path)
    council.write_estate({"core-1": 161})
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "t.yaml").write_text(
        "traps: {x: {oid: 1.3.6.1, sverity: ok}}\n"
    )
    council.write_settings()
    text = council.settings.read_text()
    council.settings.write_text(
        text.replace(
            "[traps]\n",
            '[traps]\ncatalog = "own"\naddresses = { "10.1.1.1" = "core-2" }\n',
        )
    )
    ended = towpath("check", "-c", council.settings)
    assert ended.returncode == 2
    output = ended.stdout + ended.stderr
    assert "no device is called 'core-2', did you mean 'core-1'" in output.replace(
        "; did", ", did"
    )
    assert "t.yaml:1" in output
    assert "sverity" in output
    council.settings.write_text(
        text.replace("[traps]\n", '[traps]\naddresses = { "10.1.1" = "core-1" }\n')
    )
    ended = towpath("check", "-c", council.settings)
    assert ended.returncode == 2
    assert "traps.addresses" in ended.stdout + ended.stderr


async def test_no_answered_inform_is_lost_when_it_is_killed(tmp_path: Path) -> None:
    council = Council(tmp_path)
    council.write_estate({"core-1": services.free_port()})
    # The journal waits for a reader that comes after the end.
    council.write_settings(journal='readers = ["test"]')
    running, answered = Running(council), 0
    await asyncio.to_thread(running.start)
    try:
        for n in range(8):
            process = await asyncio.create_subprocess_exec(
                services.program("snmpinform"),
                *("-v2c", "-c", COMMUNITY, f"127.0.0.1:{council.traps}", ""),
                f"1.3.6.1.4.1.55555.0.{n % 3}",
                env={**os.environ, "MIBS": ""},
            )
            answered += await process.wait() == 0
    finally:
        running.kill()
    assert answered == 8
    stored = 0
    async with JournalReader(council.config.journal.folder, "test") as reading:
        while (chunk := await reading.read(wait_s=0.5)) is not None:
            stored += sum(
                int(count or 0)
                for batch in chunk.batches
                if batch.measurement == "event"
                for count in batch.field("count")
            )
    assert stored == answered
