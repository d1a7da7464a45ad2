"""The alert engine on a real journal and a real HTTP desk, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_until
from warm_command import WarmCommand

from alerts.alert_access import (
    start_positions,
)
from alerts.alert_config import AlertConfig
from alerts.alert_engine import AlertEngine
from alerts.engine_inputs import EngineInputs
from alerts.rule_files import Rules, load_rules
from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.journal import Journal, JournalConfig, JournalReader
from collectors.server_measurements import CATALOGUE
from probes.wire.clock import WallClock, wall_ms
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
    """A service desk's webhook on a real HTTP server. It answers with `status`,
    and with 403 at the path `refuses`. `paths`: where each of `pages` came."""

    def __init__(self) -> None:
        self.status = 204
        self.refuses = ""
        self.pages: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.beats = 0
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                raw = self.rfile.read(size)
                if len(raw) < size:
                    return  # its sender was killed
                page = json.loads(raw)
                status = 403 if self.path == desk.refuses else desk.status
                if status == 204:
                    desk.paths.append(self.path)
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
    thread = threading.Thread(
        target=desk.server.serve_forever, args=(0.02,), daemon=True
    )
    thread.start()
    yield desk
    desk.server.shutdown()
    desk.server.server_close()
    thread.join()


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    (tmp_path / "own.yaml").write_text(FAST)
    all_rules = load_rules(CATALOGUE, tmp_path / "own.yaml")
    return Rules([rule for rule in all_rules if rule.id == "device_unreachable"])


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
            # These tests begin with a fault; tests of the baseline set it.
            "baseline_s": 0,
            "channels": {"desk": {"kind": "webhook", "url": desk.url}},
        }
    )


class AheadClock:
    """The wall clock, and what a test adds to it instead of waiting for an attempt."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return wall_ms() + self.ahead_ms

    def skip(self, seconds: float) -> None:
        self.ahead_ms += round(seconds * 1000)


@contextlib.asynccontextmanager
async def running(
    folder: Path, desk: Desk, rules: Rules, journal: Journal, **more: Any
) -> AsyncIterator[AlertEngine]:
    config = settings(folder, desk).model_copy(update=more.pop("update", {}))
    now_ms: WallClock = more.pop("now_ms", wall_ms)
    more.setdefault("estate", lambda: ESTATE)
    start = start_positions(config.standing)
    async with (
        JournalReader(folder / "journal", "alert", start) as reader,
        AlertEngine(
            config,
            rules,
            EngineInputs(reader, journal, **more),
            config.notifiers(),
            now_ms=now_ms,
        ) as engine,
    ):
        yield engine


async def poll(journal: Journal, up: int, ago_ms: int = 0) -> None:
    tags = {"device": "core-1", "site": "hall", "role": "router"}
    at_ms = wall_ms() - ago_ms
    sample = Sample("device", tags, {"up": up, "outcome": "timeout"}, at_ms)
    await journal.append(*batch_samples([sample], "poll/core-1", at_ms))


ENGINE = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import running_engine
    from collectors.journal import Journal, JournalConfig
    from alerts.rule_files import Rules, load_rules
    from collectors.server_measurements import CATALOGUE

    async def main(folder):
        desk = running_engine.Desk.__new__(running_engine.Desk)
        desk.url = sys.argv[3]
        all_rules = load_rules(CATALOGUE, folder / "own.yaml")
        rules = Rules([r for r in all_rules if r.id == "device_unreachable"])
        config = JournalConfig(folder=folder / "journal", reserve_bytes=0)
        async with Journal(config, "alert", CATALOGUE) as journal:
            clock = running_engine.AheadClock()
            clock.skip(float(sys.argv[4]))
            update = {"baseline_s": float((sys.argv[5:] or [0])[0])}
            async with running_engine.running(
                folder, desk, rules, journal, update=update, now_ms=clock
            ):
                print("running", flush=True)
                await asyncio.sleep(600)

    asyncio.run(main(Path(sys.argv[2])))
    """
)


class EngineProcess:
    """The engine in a process of its own, killed the way a power cut would.

    `options`: further words for `script`; for `ENGINE`, the length of the baseline (s).
    `start(ahead_s)`: with a clock that is so far ahead.
    """

    script = ENGINE

    def __init__(self, folder: Path, desk: Desk, *options: float) -> None:
        self._folder, self._url, self._options = folder, desk.url, options
        self._starts = 0
        self._process: WarmCommand | None = None

    def start(self, ahead_s: float = 0) -> None:
        self._starts += 1
        out = self._folder / f"engine-{self._starts}"
        words = (Path(__file__).parent, self._folder, self._url, ahead_s)
        self._process = WarmCommand(
            [str(word) for word in (*words, *self._options)],
            os.environ,
            out,
            script=self.script,
        )
        wait_until(lambda: self._is_running(out), f"the engine (see {out})", 60, 0.02)

    def _is_running(self, out: Path) -> bool:
        assert self._process is not None
        said = out.read_text(encoding="utf-8") if out.exists() else ""
        assert self._process.poll() is None, said
        return "running\n" in said

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        self._process = None
