"""The engine is killed while an alert that nobody acknowledges goes further."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import textwrap
from collections import Counter
from pathlib import Path

from running_engine import (
    FAST,
    Desk,
    EngineProcess,
    desk,  # noqa: F401 - a fixture
    journal,  # noqa: F401 - a fixture
)
from waiting import until

from collectors.batch import batch_samples
from collectors.journal import Journal
from probes.wire.clock import wall_ms
from probes.wire.sample import Sample

# A minute passes in a second and a half: nobody waits for an escalation here.
SPEED = 40
ENGINE = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from running_engine import ESTATE
    from alerts.alert_access import start_positions
    from alerts.alert_config import AlertConfig
    from alerts.alert_engine import AlertEngine
    from alerts.engine_inputs import EngineInputs
    from alerts.rule_files import Rules, load_rules
    from collectors.journal import Journal, JournalConfig, JournalReader
    from collectors.server_measurements import CATALOGUE
    from probes.wire.clock import wall_ms

    async def main(folder, url, began_ms, speed):
        all_rules = load_rules(CATALOGUE, folder / "own.yaml")
        rules = Rules([r for r in all_rules if r.id == "device_unreachable"])
        config = AlertConfig.model_validate({
            "standing": folder / "alerts.sqlite",
            "evaluate_s": 0.05, "group_s": 0, "baseline_s": 0,
            "channels": {
                name: {"kind": "webhook", "url": url + name}
                for name in ("duty", "boss")
            },
            "routes": [{
                "channels": ["duty"],
                "escalate": [{"after": "5m", "channels": ["boss"]}],
            }],
        })
        journal_config = JournalConfig(folder=folder / "journal", reserve_bytes=0)
        start = start_positions(config.standing)
        async with (
            Journal(journal_config, "alert", CATALOGUE) as journal,
            JournalReader(folder / "journal", "alert", start) as reader,
            AlertEngine(
                config, rules, EngineInputs(reader, journal, lambda: ESTATE),
                config.notifiers(),
                now_ms=lambda: began_ms + (wall_ms() - began_ms) * speed,
            ),
        ):
            print("running", flush=True)
            await asyncio.sleep(600)

    folder, url, _, began_ms, speed = sys.argv[2:]
    asyncio.run(main(Path(folder), url, int(began_ms), int(speed)))
    """
)


class FastEngine(EngineProcess):
    """Its clock runs `SPEED` times as fast."""

    script = ENGINE

    def __init__(self, folder: Path, desk: Desk) -> None:  # noqa: F811
        self.folder, self.began_ms = folder, wall_ms()
        super().__init__(folder, desk, self.began_ms, SPEED)

    def now_ms(self) -> int:
        return self.began_ms + (wall_ms() - self.began_ms) * SPEED

    def outbox(self) -> set[tuple[str, str, str]]:
        with contextlib.closing(
            sqlite3.connect(self.folder / "alerts.sqlite", timeout=5)
        ) as db:
            return set(db.execute("SELECT channel, kind, state FROM outbox"))


async def test_a_kill_in_the_middle_of_an_escalation_loses_and_doubles_nothing(
    tmp_path: Path,
    desk: Desk,  # noqa: F811
    journal: Journal,  # noqa: F811
) -> None:
    (tmp_path / "own.yaml").write_text(FAST)
    engine = FastEngine(tmp_path, desk)
    up = 0

    async def poll() -> None:
        tags = {"device": "core-1", "site": "hall", "role": "router"}
        while True:
            at_ms = engine.now_ms()
            sample = Sample("device", tags, {"up": up, "outcome": "timeout"}, at_ms)
            await journal.append(*batch_samples([sample], "poll/core-1", at_ms))
            await asyncio.sleep(60 / SPEED)

    try:
        await asyncio.to_thread(engine.start)
        polls = asyncio.create_task(poll())
        await until(
            lambda: ("duty", "page", "delivered") in engine.outbox(), "its page", 60
        )
        # Whoever is next cannot be reached, and the engine is killed meanwhile.
        desk.status = 503
        await until(
            lambda: ("boss", "page", "waiting") in engine.outbox(), "the next one", 60
        )
        engine.kill()
        assert desk.paths == ["/duty"]
        desk.status = 204
        await asyncio.to_thread(engine.start)
        await until(lambda: "/boss" in desk.paths, "the escalation", 60)
        # It has arrived; whether the engine knows that yet is a matter of luck.
        engine.kill()
        await asyncio.to_thread(engine.start)
        await until(
            lambda: ("boss", "page", "delivered") in engine.outbox(), "its note", 60
        )
        engine.kill()
        up = 1
        await asyncio.to_thread(engine.start)
        await until(
            lambda: (
                {
                    ("boss", "resolution", "delivered"),
                    ("duty", "resolution", "delivered"),
                }
                <= engine.outbox()
            ),
            "the end for both",
            90,
        )
        polls.cancel()
    finally:
        engine.kill()
    # What was sent again, because nobody knew, is the same message.
    messages = {
        (path, page["id"]) for path, page in zip(desk.paths, desk.pages, strict=True)
    }
    kinds = Counter((path, id.rpartition("-")[2]) for path, id in messages)
    assert kinds == {
        ("/duty", "page"): 1,
        ("/boss", "page"): 1,
        ("/duty", "resolution"): 1,
        ("/boss", "resolution"): 1,
    }
