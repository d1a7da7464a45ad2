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
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats_servers import NatsServer, running_nats
from river import Running
from waiting import until

from alerts.acknowledgement import acknowledge
from alerts.alert_access import add_silence, open_alerts, opened
from alerts.alert_file import has_tables
from alerts.silence import Silence
from alerts.standby.shared_acknowledgements import share_once
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
    one that fails before it has stored them; while it `is_silent`, it has stored them.
    `log`: kind, device, id, sender and time."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.log: list[tuple[str, str, str, str, float]] = []
        self.held = 0
        self.holds = self.is_silent = False
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                page = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                id, at_s = self.headers["Towpath-Id"], time.monotonic()
                if desk.holds:
                    desk.held += 1
                    while desk.holds:
                        time.sleep(0.02)
                    self.close_connection = True
                    return
                for alert in page["alerts"]:
                    device = alert["subject"].get("device", "")
                    sender = self.client_address[0]
                    desk.log.append((page["kind"], device, id, sender, at_s))
                while desk.is_silent:
                    time.sleep(0.02)
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{host}:{self.server.server_port}/"

    @property
    def messages(self) -> list[tuple[str, str]]:
        return [(kind, device) for kind, device, *_ in self.log]


@contextlib.contextmanager
def running_desk(host: str = "127.0.0.1") -> Iterator[HoldingDesk]:
    desk = HoldingDesk(host)
    serve = desk.server.serve_forever
    thread = threading.Thread(target=serve, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield desk
    finally:
        desk.holds = desk.is_silent = False
        desk.server.shutdown()
        desk.server.server_close()
        thread.join()


def write_machine(
    folder: Path,
    name: str,
    nats: str,
    url: str,
    lease_s: float,
    group_s: float,
    devices: Sequence[str],
) -> Any:
    """The folder of a machine that alerts. `nats`: the lines of that table."""
    own = folder / name
    own.mkdir()
    (own / "rules.yaml").write_text(
        "overrides:\n  - {rule: device_unreachable, hold: 0s, keep_for: 0s}\n"
    )
    (own / "estate.toml").write_text(
        "".join(
            f'[[sites]]\nid = "at-{device}"\nname = "Site of {device}"\n'
            f'[[devices]]\nid = "{device}"\nsite = "at-{device}"\n'
            f'address = "10.0.0.{number}"\n'
            for number, device in enumerate(devices, 1)
        )
    )
    settings = own / "towpath.toml"
    settings.write_text(
        'state = "state"\nestate = "estate.toml"\n[journal]\nkind = "nats"\n'
        f"[nats]\n{nats}\n[metrics]\nport = 0\n"
        f'[alerts]\nrules = "rules.yaml"\nbaseline_s = 0\ngroup_s = {group_s}\n'
        f'[alerts.standby]\nenabled = true\nname = "{name}"\nlease_s = {lease_s}\n'
        f'[alerts.channels.desk]\nkind = "webhook"\nurl = "{url}"\n'
    )
    return MachineFolder(own, settings)


def _machine(folder: Path, name: str, server: NatsServer, url: str) -> Running:
    nats = f'servers = ["{server.url}"]'
    own = write_machine(folder, name, nats, url, LEASE_S, GROUP_S, ("core-1", "core-2"))
    return Running(own, "alert")


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
    for device in ("core-1", "core-2"):
        tags = {"device": device, "site": f"at-{device}", "role": "router"}
        fields = {"up": int(device != down), "outcome": "timeout"}
        sample = Sample("device", tags, fields, now_ms)
        await journal.append(*batch_samples([sample], f"poll/{device}", now_ms))


async def test_a_page_arrives_once_although_the_machine_that_decided_it_is_killed(
    tmp_path: Path,
) -> None:
    with running_nats(tmp_path / "nats") as server, running_desk() as desk:
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
                with pytest.raises(OSError, match="nothing is taken up here"):
                    add_silence(_standing(tmp_path, "a"), Silence(0, 0, 1, "at-core-1"))
                await until(lambda: desk.messages, "the page")
                assert desk.messages == [("page", "core-1")]
                [alert] = open_alerts(_standing(tmp_path, "a"))
                for who, is_new in (("pat", True), ("ada", False)):
                    done = await asyncio.to_thread(
                        acknowledge,
                        _standing(tmp_path, "a"),
                        alert.key,
                        who,
                        "",
                        wall_ms(),
                        partial(share_once, nats),
                    )
                    assert (done.alert.acknowledged_by, done.is_new) == ("pat", is_new)
                await until(
                    lambda: (
                        open_alerts(_standing(tmp_path, "b"))[0].acknowledged_by
                        == "pat"
                    ),
                    "the acknowledgement on the other machine",
                )
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
