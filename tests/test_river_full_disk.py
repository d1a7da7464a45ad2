"""`towpath run` on a full disk: a dead switch is paged, `/healthz` gives the reason, a
kill loses nothing but time, and with space again it continues by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from river import COMMUNITY, Council, Running
from running_engine import Desk
from test_alerts_full_disk import fill
from test_journal_full import may_mount
from waiting import until, wait_until

from alerts.alert_file import has_tables
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch

HERE = Path(__file__).parent
SCRIPT = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_river_full_disk as here

asyncio.run(here.history(Path(sys.argv[2]), Path(sys.argv[3])))
print("done")
"""


def health(council: Council) -> tuple[int, dict[str, Any]]:
    """(status, body) of `/healthz`; (0, {}) while it does not answer."""
    url = f"http://127.0.0.1:{council.web}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, {}


async def history(small: Path, own: Path) -> None:
    """On the small disk `small`, with everything else in `own`."""
    desk = Desk()
    threading.Thread(target=desk.server.serve_forever, daemon=True).start()
    (own / "rules.yaml").write_text(
        "overrides:\n  - {rule: device_unreadable, for: 2s, hold: 2s, keep_for: 2s}\n"
    )
    council = Council(own)
    council.write_settings(
        f"""
[alerts]
rules = "rules.yaml"
group_s = 0

[alerts.channels.desk]
kind = "webhook"
url = "{desk.url}"
""",
        journal="max_bytes = 4000000\nsegment_bytes = 500000\nreserve_bytes = 200000",
    )
    text = council.settings.read_text()
    state = f'state = "{small / "state"}"\n'
    council.settings.write_text(state + text)

    async def shown(status: int) -> None:
        def is_so() -> bool:
            return health(council)[0] == status

        what = f"/healthz to be {status}"
        await asyncio.to_thread(wait_until, is_so, what, 90)

    async with contextlib.AsyncExitStack() as running:
        port = SimulatedPort(1, "Gi1/0/1")
        one = SimulatedSwitch("one", [port], community=COMMUNITY)
        two = SimulatedSwitch("two", [port], community=COMMUNITY)
        await running.enter_async_context(one)
        alive = contextlib.AsyncExitStack()
        await alive.enter_async_context(two)
        council.write_estate({"one": one.port_number, "two": two.port_number})
        run = Running(council)
        await asyncio.to_thread(run.start)
        running.push_async_callback(asyncio.to_thread, run.stop)
        await until(lambda: one.requests > 3, "polls")
        # What the disk does not know as one that answered is new after the kill.
        await until(lambda: _known_devices(small / "state") == 2, "both devices")
        await shown(200)
        filler = fill(small)
        await shown(503)
        _, body = await asyncio.to_thread(health, council)
        assert any("is full" in sentence for sentence in body["unwell"]), body
        await alive.aclose()
        await until(lambda: _about(desk, "device_unreadable"), "the page", seconds=90)
        [alert] = _about(desk, "device_unreadable")
        assert alert["subject"] == {"device": "two"}
        # Killed on the full disk it starts again, and pages twice rather than never.
        run.signal(signal.SIGKILL)
        run.code()
        known = _recorded_pages(small / "state", own / "after_the_kill")
        await asyncio.to_thread(run.start)
        if "device_unreadable" not in known:
            await until(
                lambda: len(_about(desk, "device_unreadable")) > 1, "again", seconds=90
            )
        filler.unlink()
        await shown(200)
        assert run.count("cannot rollback") == 0
        assert run.count("Traceback") == 0, run.lines("Traceback")
        for event in ("alerts_in_memory_only", "self_samples_not_kept"):
            # Once for each start: a full disk is no reason to fill the log.
            assert run.count(event) <= 2, (event, run.count(event))
    desk.server.shutdown()


def _known_devices(state: Path) -> int:
    if not has_tables(state / "alerts.sqlite"):
        return 0
    with contextlib.closing(sqlite3.connect(state / "alerts.sqlite")) as db:
        sql = "SELECT count(*) FROM first_seen WHERE owner LIKE 'device=%'"
        return int(db.execute(sql).fetchone()[0])


def _recorded_pages(state: Path, copies: Path) -> set[str]:
    """The rules whose pages the disk knows as sent: a nearly full disk may still take
    the last transaction before the kill, and then nothing is paged twice."""
    copies.mkdir()
    for path in state.glob("alerts.sqlite*"):
        shutil.copy(path, copies)
    with contextlib.closing(sqlite3.connect(copies / "alerts.sqlite")) as db:
        sent = db.execute(
            "SELECT episode FROM outbox WHERE kind = 'page' AND state = 'delivered'"
        )
        return {episode.partition("/")[0] for (episode,) in sent}


def _about(desk: Desk, rule: str) -> list[dict[str, Any]]:
    return [
        alert
        for page in desk.pages
        for alert in page["alerts"]
        if page["kind"] == "page" and alert["rule"] == rule
    ]


@pytest.mark.netns
@pytest.mark.timeout(420)
def test_a_whole_towpath_pages_on_a_full_disk_and_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    small, own = tmp_path / "small", tmp_path / "own"
    small.mkdir()
    own.mkdir()
    if not may_mount(small):
        pytest.skip("may not mount a file system here (needs root)")
    mounted = (
        'mount -t tmpfs -o size=16m tmpfs "$1" && exec "$2" -c "$3" "$4" "$1" "$5"'
    )
    command = ["unshare", "-m", "sh", "-c", mounted, "sh", str(small), sys.executable]
    done = subprocess.run(
        [*command, SCRIPT, str(HERE), str(own)],
        env={**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    logs = "\n".join(path.read_text()[-6_000:] for path in own.rglob("*log*"))
    assert done.stdout.endswith("done\n"), done.stdout + done.stderr + logs
