"""Roles in two processes from one configuration: rows cross, an alert is delivered, a
kill loses nothing, and nobody does the same work twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import services
from river import COMMUNITY, WEBHOOK_KEY, Council, Running, answer, started, towpath
from river_laptops import FIRST_MS, STEP_MS, Laptops
from waiting import until

from collectors.server_measurements import CATALOGUE
from collectors.store import open_store
from collectors.store.query import Pick, Query
from probes.wire.clock import wall_ms
from towpath.demo.simulated_switches import SimulatedPort, SimulatedSwitch
from towpath.demo.town import OnCall

RULES = """overrides:
  - {rule: device_unreachable, hold: 2s, keep_for: 2s}
"""


async def stored(council: Council) -> dict[str, list[int]]:
    """The numbers of the reports in the store, by agent: one second of time holds one
    report, and a report that is there twice would be two rows in its second."""
    config = council.config.store
    query = Query(
        "call_path",
        (Pick("sent", "last"), Pick("sent", "count")),
        FIRST_MS,
        wall_ms(),
        group_by=("agent",),
        every_ms=STEP_MS,
    )
    async with open_store(config, CATALOGUE) as store:
        rows = await store.query(query)
    found: dict[str, list[int]] = {}
    for row in rows:
        assert row.values["sent_count"] == 1
        found.setdefault(row.tags["agent"], []).append(int(row.values["sent_last"]))
    return found


async def test_two_processes_share_the_work_and_survive_a_kill(tmp_path: Path) -> None:
    council = Council(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "webhook.key").touch(0o600)
    (tmp_path / "webhook.key").write_text(WEBHOOK_KEY)
    hook = services.free_port()
    council.write_settings(
        f"""
[alerts]
rules = "rules.yaml"
group_s = 0.5

[alerts.channels.on_call]
kind = "webhook"
url = "http://127.0.0.1:{hook}/pages"
secret = {{ file = "webhook.key" }}
"""
    )
    heard: list[dict[str, Any]] = []
    switch = SimulatedSwitch("one", [SimulatedPort(1, "Gi1/0/1")], community=COMMUNITY)
    sources = Running(council, "poll,ingest")
    effects = Running(council, "store,alert,web")
    page = f"http://127.0.0.1:{council.web}/"
    async with OnCall(hook, WEBHOOK_KEY, heard.append), switch:
        council.write_estate({"one": switch.port_number})
        async with (
            started(effects, sources),
            Laptops(council, https=4) as laptops,
        ):
            await laptops.more(10)
            await until(lambda: "Town Hall" in answer(page)[1], "the status page")

            # Each in turn is killed, while reports go on.
            await asyncio.to_thread(sources.kill)
            await asyncio.to_thread(sources.start)
            await laptops.more(10)
            await asyncio.to_thread(effects.kill)
            await laptops.more(10)
            await asyncio.to_thread(effects.start)
            await laptops.more(10)

            # One process polls, the other pages.
            switch.cut_off = True
            await until(lambda: len(heard) == 1, "the page", seconds=60)
            assert heard[0]["kind"] == "page"
            assert heard[0]["alerts"][0]["subject"]["device"] == "one"
            assert answer(page)[0] == 200
            await until(lambda: "does not answer" in answer(page)[1], "it on the page")
            switch.cut_off = False
            await until(lambda: len(heard) == 2, "the resolution", seconds=60)
            assert heard[1]["kind"] == "resolution"

            await laptops.finish()
            wanted = {laptop.agent: sorted(laptop.receipted) for laptop in laptops.all}
            async with asyncio.timeout(60):
                while await stored(council) != wanted:  # noqa: ASYNC110 (as above)
                    await asyncio.sleep(0.5)
    assert sum(map(len, wanted.values())) >= 160
    assert [page["kind"] for page in heard] == ["page", "resolution"]
    for run in (sources, effects):
        assert run.count("Traceback") == 0


@pytest.mark.parametrize("roles", ["poll,ingest", "poll", "ingest,store"])
async def test_a_role_that_runs_already_is_refused_in_one_sentence(
    tmp_path: Path, roles: str
) -> None:
    council = Council(tmp_path)
    council.write_settings()
    async with started(Running(council, "poll,ingest")):
        refused = await asyncio.to_thread(
            towpath, "run", "-c", council.settings, "--role", roles
        )
    assert refused.returncode == 1
    says = refused.stderr.strip()
    assert len(says.splitlines()) == 1
    taken = "ingest" if roles.startswith("ingest") else "poll"
    assert f"the role '{taken}' already runs in another process (pid " in says
