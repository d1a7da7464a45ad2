"""Two `towpath run --role alert` with one nats-server: the active one is killed between
decision and delivery, or held up until the other one has taken over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats_servers import NatsServer, running_nats
from river import Running
from waiting import until

from alerts.acknowledgement import acknowledge
from alerts.alert_access import open_alerts, opened
from alerts.alert_file import has_tables
from collectors.batch import batch_samples
from collectors.journal import Append, JournalConfig
from collectors.nats.nats_config import NatsConfig
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample
from towpath.journal_kind import JournalKind

LEASE_S, GROUP_S = 2.5, 2.0


class MachineFolder(msgspec.Struct):
    folder: Path
    settings: Path


class HoldingDesk:
    """A webhook's receiver. While it `holds`, it takes messages and answers nothing, as
    one that fails before it has stored them."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.held = 0
        self.holds = False
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                page = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if desk.holds:
                    desk.held += 1
                    while desk.holds:
                        time.sleep(0.02)
                    self.close_connection = True
                    return
                for alert in page["alerts"]:
                    device = alert["subject"].get("device", "")
                    desk.messages.append((page["kind"], device))
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@contextlib.contextmanager
def _desk() -> Iterator[HoldingDesk]:
    desk = HoldingDesk()
    serve = desk.server.serve_forever
    thread = threading.Thread(target=serve, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield desk
    finally:
        desk.holds = False
        desk.server.shutdown()
        desk.server.server_close()
        thread.join()


def _machine(folder: Path, name: str, server: NatsServer, url: str) -> Running:
    own = folder / name
    own.mkdir()
    (own / "rules.yaml").write_text(
        "overrides:\n  - {rule: device_unreachable, hold: 0s, keep_for: 0s}\n"
    )
    (own / "estate.toml").write_text(
        '[[sites]]\nid = "hall"\nname = "Town Hall"\n'
        '[[sites]]\nid = "depot"\nname = "Depot"\n'
        '[[devices]]\nid = "core-1"\nsite = "hall"\naddress = "10.0.0.1"\n'
        '[[devices]]\nid = "core-2"\nsite = "depot"\naddress = "10.0.0.2"\n'
    )
    settings = own / "towpath.toml"
    settings.write_text(
        'state = "state"\nestate = "estate.toml"\n[journal]\nkind = "nats"\n'
        f'[nats]\nservers = ["{server.url}"]\n[metrics]\nport = 0\n'
        f'[alerts]\nrules = "rules.yaml"\nbaseline_s = 0\ngroup_s = {GROUP_S}\n'
        f'[alerts.standby]\nenabled = true\nname = "{name}"\nlease_s = {LEASE_S}\n'
        f'[alerts.channels.desk]\nkind = "webhook"\nurl = "{url}"\n'
    )
    return Running(MachineFolder(own, settings), "alert")  # type: ignore[arg-type]


def _standing(folder: Path, name: str) -> Path:
    return folder / name / "state" / "alerts.sqlite"


def _waits_for_delivery(standing: Path) -> bool:
    """Whether the file of this machine has a page that was not tried yet."""
    if not has_tables(standing):
        return False
    with opened(standing, read_only=True) as db:
        row = db.execute("SELECT 1 FROM outbox WHERE state = 'waiting' AND tries = 0")
        return row.fetchone() is not None


async def _poll(journal: Append, down: str = "") -> None:
    """One poll of all devices; one of them may not answer."""
    now_ms = wall_ms()
    for device, site in (("core-1", "hall"), ("core-2", "depot")):
        tags = {"device": device, "site": site, "role": "router"}
        fields = {"up": int(device != down), "outcome": "timeout"}
        sample = Sample("device", tags, fields, now_ms)
        await journal.append(*batch_samples([sample], f"poll/{device}", now_ms))


async def test_a_page_arrives_once_although_the_machine_that_decided_it_is_killed(
    tmp_path: Path,
) -> None:
    with running_nats(tmp_path / "nats") as server, _desk() as desk:
        a, b = (_machine(tmp_path, name, server, desk.url) for name in "ab")
        nats = NatsConfig(servers=(server.url,))
        config = JournalConfig(folder=tmp_path / "journal", kind="nats")
        try:
            a.start()
            await until(lambda: a.count("alerts_active"), "the first machine", 60)
            b.start()
            async with JournalKind(config, nats, "poll").opened() as journal:
                await _poll(journal, down="core-1")
                await until(
                    lambda: _waits_for_delivery(_standing(tmp_path, "a")), "a decision"
                )
                a.signal(signal.SIGKILL)
                a.code()
                assert desk.messages == []
                # The file still says that this machine evaluates.
                [alert] = open_alerts(_standing(tmp_path, "a"))
                with pytest.raises(OSError, match="nothing is taken up here"):
                    acknowledge(_standing(tmp_path, "a"), alert.key, "pat", "", 0)
                await until(lambda: desk.messages, "the page")
                assert desk.messages == [("page", "core-1")]
                await _poll(journal)
                await until(lambda: len(desk.messages) == 2, "the end")

                # The other one sends a page, and is held up before it has an answer.
                a.start()
                desk.holds = True
                await _poll(journal, down="core-2")
                await until(lambda: desk.held, "a message on its way")
                b.signal(signal.SIGSTOP)
                await until(
                    lambda: a.count("alerts_active") == 2, "the first machine again"
                )
                desk.holds = False
                await until(lambda: len(desk.messages) == 3, "the second page")
                b.signal(signal.SIGCONT)
                await until(lambda: b.count("alerts_standing_by"), "the one held up")
                await _poll(journal)
                await until(lambda: len(desk.messages) == 4, "the second end")
                await asyncio.sleep(GROUP_S)
        finally:
            a.kill()
            b.kill()
    assert Counter(desk.messages) == {
        (kind, device): 1
        for kind in ("page", "resolution")
        for device in ("core-1", "core-2")
    }
    for name in "ab":
        assert open_alerts(_standing(tmp_path, name)) == []
