"""The engine on a real journal and a real HTTP desk, alive, killed and begun again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import services
from waiting import until

from alerts.alert_access import (
    acknowledge,
    add_silence,
    open_alerts,
    recent_alerts,
    start_positions,
)
from alerts.alert_config import AlertConfig, build_notifiers
from alerts.alert_engine import AlertEngine, EngineInputs
from alerts.heartbeat import Heartbeat
from alerts.rule_files import Rules, load_rules
from alerts.suppression import Silence
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query, Row
from collectors.topology import DeviceNeighbour, LocalSystem, TopologyView
from collectors.topology.neighbour_records import to_batches
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample

ESTATE = Estate.model_validate(
    {
        "sites": [{"id": "hall", "name": "Town Hall"}],
        "devices": [{"id": "core-1", "site": "hall", "address": "10.0.0.1"}],
    }
)
FAST = """
overrides:
  - {rule: device_unreachable, hold: 0s, keep_for: 0s}
"""


class Desk:
    """A service desk's webhook on a real HTTP server; answers with `status`, and 403
    at the path it `refuses`."""

    def __init__(self) -> None:
        self.status = 204
        self.refuses = ""
        self.pages: list[dict[str, Any]] = []
        self.beats = 0
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                page = json.loads(self.rfile.read(size))
                status = 403 if self.path == desk.refuses else desk.status
                if status == 204:
                    desk.pages.append(page)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                desk.beats += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def kinds(self) -> list[str]:
        return [page["kind"] for page in self.pages]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    thread = threading.Thread(target=desk.server.serve_forever, daemon=True)
    thread.start()
    yield desk
    desk.server.shutdown()
    desk.server.server_close()
    thread.join()


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    (tmp_path / "own.yaml").write_text(FAST)
    every = load_rules(CATALOGUE, tmp_path / "own.yaml")
    return Rules([rule for rule in every if rule.id == "device_unreachable"])


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    config = JournalConfig(folder=tmp_path / "journal", reserve_bytes=0)
    async with Journal(config, "poll", CATALOGUE) as journal:
        yield journal


def settings(folder: Path, desk: Desk) -> AlertConfig:
    return AlertConfig.model_validate(
        {
            "standing": folder / "alerts.sqlite",
            "evaluate_s": 0.05,
            "group_s": 0,
            "channels": {"desk": {"kind": "webhook", "url": desk.url}},
        }
    )


@contextlib.asynccontextmanager
async def running(
    folder: Path, desk: Desk, rules: Rules, journal: Journal, **more: Any
) -> AsyncIterator[AlertEngine]:
    config = settings(folder, desk).model_copy(update=more.pop("update", {}))
    more.setdefault("estate", lambda: ESTATE)
    start = start_positions(config.standing)
    async with (
        JournalReader(folder / "journal", "alert", start) as reader,
        AlertEngine(
            config,
            rules,
            EngineInputs(reader, journal, **more),
            build_notifiers(config),
        ) as engine,
    ):
        yield engine


async def poll(journal: Journal, up: int) -> None:
    tags = {"device": "core-1", "site": "hall", "role": "router"}
    at_ms = wall_ms()
    sample = Sample("device", tags, {"up": up, "outcome": "timeout"}, at_ms)
    await journal.append(*batch_samples([sample], "poll/core-1", at_ms))


async def test_a_fault_in_the_journal_is_paged_shown_and_called_off(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    async with running(tmp_path, desk, rules, journal) as engine:
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")
        [alert] = open_alerts(tmp_path / "alerts.sqlite")
        assert alert.state == "firing"
        assert alert.summary == "core-1 at Town Hall does not answer (timeout)"
        assert desk.pages[0]["alerts"][0]["key"] == alert.key
        await poll(journal, 1)
        await until(lambda: desk.kinds() == ["page", "resolution"], "the resolution")
        await until(lambda: not open_alerts(tmp_path / "alerts.sqlite"), "no alert")
        [ended] = recent_alerts(tmp_path / "alerts.sqlite", wall_ms() - 60_000)
        assert ended.resolved_ms is not None
        await until(
            lambda: any(s.fields.get("sent") == 2 for s in engine.samples(wall_ms())),
            "both to be counted",
        )

    # Every change of state is a row of `alert` in the journal.
    async with JournalReader(tmp_path / "journal", "look") as reader:
        chunk = await reader.read(wait_s=5)
        assert chunk is not None
        states = [
            sample.fields["state"]
            for batch in chunk.batches
            if batch.measurement == "alert"
            for sample in batch.samples()
        ]
    assert states == ["firing", "resolved"]


async def test_what_hangs_on_a_dead_switch_by_what_it_hears_is_not_paged(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    """The estate names no parent; the journal says who is heard, and who is dead."""
    devices = [*ESTATE.devices]
    devices += [
        device.model_copy(update={"id": id, "address": ip_address(f"10.0.0.{n}")})
        for device in ESTATE.devices
        for n, id in enumerate(("access-1", "access-2"), 2)
    ]
    line = {"id": "wan", "site": "hall", "device": "core-1", "port": "wan"}
    estate = Estate.model_validate(
        {
            "sites": ESTATE.sites,
            "devices": devices,
            "lines": [{**line, "down_mbps": 9, "up_mbps": 9}],
        }
    )
    around = TopologyView(lambda: estate, settle_s=0.0)

    async def tell(id: str, up: int) -> None:
        tags = {"device": id, "site": "hall", "role": "switch"}
        at_ms = wall_ms()
        sample = Sample("device", tags, {"up": up, "outcome": "timeout"}, at_ms)
        await journal.append(*batch_samples([sample], f"poll/{id}", at_ms))

    for id in ("access-1", "access-2"):
        seen = [DeviceNeighbour(id, "Gi24", remote_name="core-1", remote_port="Gi1")]
        place = (id, "hall", "switch")
        await journal.append(
            *to_batches(place, LocalSystem(id), seen, wall_ms(), f"poll/{id}")
        )
    async with running(
        tmp_path,
        desk,
        rules,
        journal,
        estate=around.estate,
        on_batch=around.add,
    ):
        for device in devices:
            await tell(device.id, 1)
        await until(lambda: len(around.graph().parents) == 2, "the parents")
        for id in ("access-1", "access-2", "core-1"):
            await tell(id, 0)
        await until(lambda: desk.pages, "the page", seconds=30)
        alerts = open_alerts(tmp_path / "alerts.sqlite")
        await until(lambda: len(open_alerts(tmp_path / "alerts.sqlite")) == 3, "all")
        alerts = open_alerts(tmp_path / "alerts.sqlite")
    assert [a["subject"]["device"] for p in desk.pages for a in p["alerts"]] == [
        "core-1"
    ]
    assert sum(bool(alert.suppressed_by) for alert in alerts) == 2
    assert all(alert.explained_by == alert.suppressed_by for alert in alerts)


async def test_a_desk_that_is_down_gets_everything_once_it_is_back(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    desk.status = 500
    async with running(tmp_path, desk, rules, journal) as engine:
        await poll(journal, 0)
        await until(
            lambda: any(
                s.fields.get("failed") and s.fields.get("waiting")
                for s in engine.samples(wall_ms())
            ),
            "a failed try",
        )
        await poll(journal, 1)
        await until(lambda: not open_alerts(tmp_path / "alerts.sqlite"), "its end")
        desk.status = 204
        await until(lambda: desk.kinds() == ["page", "resolution"], "both", seconds=30)


async def test_a_restart_sends_nothing_twice_and_forgets_nothing(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    async with running(tmp_path, desk, rules, journal) as engine:
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")
        # Stopped before it is written down as delivered, it would come again.
        await until(
            lambda: any(row.fields.get("sent") == 1 for row in engine.samples(0)),
            "the page to be written down",
        )
    async with running(tmp_path, desk, rules, journal) as engine:
        await until(lambda: engine.cycles > 3, "some cycles")
        assert desk.kinds() == ["page"]
        assert [a.state for a in open_alerts(tmp_path / "alerts.sqlite")] == ["firing"]
    # It ends while nobody watches.
    await poll(journal, 1)
    async with running(tmp_path, desk, rules, journal):
        await until(lambda: desk.kinds() == ["page", "resolution"], "the resolution")


async def test_a_silence_pages_nobody_and_what_still_burns_is_paged_after_it(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    path = tmp_path / "alerts.sqlite"
    at_ms = wall_ms()
    quiet = Silence(0, at_ms, at_ms + 1_500, site="hall", who="ada", planned=1)
    async with running(tmp_path, desk, rules, journal):
        add_silence(path, quiet)
        await poll(journal, 0)
        await until(lambda: [a.state for a in open_alerts(path)] == ["firing"], "it")
        assert desk.kinds() == []
        assert open_alerts(path)[0].silenced_until_ms == quiet.until_ms
        await until(lambda: desk.kinds() == ["page"], "the page")
        assert wall_ms() >= quiet.until_ms
        alert = acknowledge(path, open_alerts(path)[0].key, "ada", "mine", wall_ms())
        assert open_alerts(path)[0].acknowledged_by == "ada"
        with pytest.raises(LookupError):
            acknowledge(path, alert.key + "x", "ada", "", wall_ms())


class AwayStore:
    """A database that is not there."""

    async def write(self, batches: list[Any]) -> None:
        raise OSError("away")

    async def query(self, query: Query) -> list[Row]:
        raise OSError("away")


class WarmStore(AwayStore):
    """A database that remembers one poll."""

    def __init__(self) -> None:
        self.asked: list[Query] = []

    async def query(self, query: Query) -> list[Row]:
        self.asked.append(query)
        tags = {"device": "core-1", "site": "hall", "role": "router"}
        return [Row(wall_ms() - 5_000, tags, {"up_last": 0})]


async def test_alerts_work_while_the_database_is_away(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    async with running(tmp_path, desk, rules, journal, store=AwayStore()):
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")


async def test_the_window_is_filled_from_the_store_at_the_start(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    store = WarmStore()
    async with running(tmp_path, desk, rules, journal, store=store):
        await until(lambda: desk.kinds() == ["page"], "the page")
    [query] = store.asked
    assert query.measurement == "device"
    assert {pick.name for pick in query.picks} == {"up_last", "outcome_last"}


async def test_rules_may_change_while_it_runs(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    async with running(tmp_path, desk, rules, journal) as engine:
        await poll(journal, 0)
        await until(lambda: desk.kinds() == ["page"], "the page")
        engine.reload(Rules([]))
        await until(lambda: desk.kinds() == ["page", "resolution"], "the resolution")
    assert desk.pages[1]["alerts"][0]["why"] == "its rule is no longer in use"


async def test_the_heartbeat_is_called_after_cycles_and_never_without(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    async with Heartbeat(desk.url, 0.05):
        await asyncio.sleep(0.3)
        assert desk.beats == 0
    update = {"heartbeat_url": desk.url, "heartbeat_s": 0.05}
    async with running(tmp_path, desk, rules, journal, update=update):
        await until(lambda: desk.beats >= 2, "two beats")


ENGINE = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import test_alerts_engine as here
    from collectors.journal import Journal, JournalConfig
    from alerts.rule_files import Rules, load_rules
    from collectors.server_measurements import CATALOGUE

    async def main(folder):
        desk = here.Desk.__new__(here.Desk)
        desk.url = sys.argv[3]
        every = load_rules(CATALOGUE, folder / "own.yaml")
        rules = Rules([r for r in every if r.id == "device_unreachable"])
        config = JournalConfig(folder=folder / "journal", reserve_bytes=0)
        async with Journal(config, "alert", CATALOGUE) as journal:
            async with here.running(folder, desk, rules, journal):
                print("running", flush=True)
                await asyncio.sleep(600)

    asyncio.run(main(Path(sys.argv[2])))
    """
)


class Engine:
    """The engine in a process of its own, to be killed as a power cut would."""

    def __init__(self, folder: Path, desk: Desk) -> None:
        here = Path(__file__).parent
        command = [sys.executable, "-c", ENGINE, str(here), str(folder), desk.url]
        self._command, self._root = command, here.parent
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {**os.environ, "PYTHONPATH": str(self._root)}
        self._process = subprocess.Popen(
            self._command, env=env, stdout=subprocess.PIPE, cwd=self._root
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"running\n"

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None


async def test_killed_between_evaluation_and_delivery_it_loses_no_page(
    tmp_path: Path, desk: Desk, rules: Rules, journal: Journal
) -> None:
    path = tmp_path / "alerts.sqlite"
    engine = Engine(tmp_path, desk)
    try:
        # The page is decided and written, and the desk does not take it.
        desk.status = 503
        await asyncio.to_thread(engine.start)
        await poll(journal, 0)
        await until(lambda: [a.state for a in open_alerts(path)] == ["firing"], "it")
        engine.kill()
        assert desk.pages == []
        desk.status = 204
        await asyncio.to_thread(engine.start)
        await until(lambda: desk.kinds() == ["page"], "the page", seconds=30)
        await until(lambda: _delivered(path) == 1, "its note in the book")
        engine.kill()
        # Killed again, and it ends while nobody watches.
        await poll(journal, 1)
        await asyncio.to_thread(engine.start)
        await until(lambda: len(desk.pages) == 2, "the resolution", seconds=30)
        await until(lambda: _delivered(path) == 2, "its note in the book")
        engine.kill()
        await asyncio.to_thread(engine.start)
        await until(lambda: not open_alerts(path), "no alert")
    finally:
        engine.kill()
    assert desk.kinds() == ["page", "resolution"]
    episodes = [page["alerts"][0]["episode"] for page in desk.pages]
    assert Counter(episodes) == {episodes[0]: 2}


def _delivered(path: Path) -> int:
    import sqlite3

    with contextlib.closing(sqlite3.connect(path, timeout=5)) as db:
        sql = "SELECT count(*) FROM outbox WHERE state = 'delivered'"
        return int(db.execute(sql).fetchone()[0])


def test_pages_of_a_file_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert open_alerts(tmp_path / "none.sqlite") == []
    assert recent_alerts(tmp_path / "none.sqlite", 0) == []
    assert start_positions(tmp_path / "none.sqlite") is None
    assert services.SHARED is not None
