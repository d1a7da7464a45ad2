"""The stop switch from end to end: real servers, and the agent as a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from ingest_council import Door, body, door, enrol, receipt, report
from mqtt_broker import ingesting, running_broker
from stop_keys import COUNCIL, FOREIGN, line
from test_agent_loop import QUICK, Laptop
from waiting import until

from collectors.ingest.ingest_config import PolicyConfig, TeamsRelayConfig
from collectors.ingest.stop_key import StopKey
from collectors.ingest.stop_order_file import add_line, write_lines
from probes.agent import laptop_commands, policy_refresh
from probes.agent.enrol import read_credential
from probes.agent.policy_refresh import PolicyRefresh
from probes.agent.settings import Settings
from probes.agent.stop_orders import StopOrders
from probes.diagnosis.agent_status import (
    Status,
    read_status,
    status_file,
    status_lines,
    write_status,
)
from probes.diagnosis.is_it_me_page import page
from probes.wire.clock import wall_ms
from probes.wire.policy import Policy, decode
from probes.wire.report import AgentCredential

# The agent with all its waits a hundred times shorter.
SHORT = """
import functools
from probes.agent import agent_cli, agent_run, policy_refresh
from probes.agent.agent import Agent
from probes.agent.agent_parts import AgentTiming
policy_refresh.ASK_S, policy_refresh.SOON_S = (0.3, 0.5), 0.2
policy_refresh.RETRY_S = 0.3, 0.6
timing = AgentTiming(soon_ms=300, tick_s=0.1)
agent_run.Agent = functools.partial(Agent, timing=timing)
agent_cli.main()
"""
ONLY_VPN = {"vpn": 1, "agent": 0, "web": 0, "name_lookup": 0, "call_path": 0, "path": 0}


def policy(key: StopKey = COUNCIL) -> PolicyConfig:
    return PolicyConfig(
        teams_relay=TeamsRelayConfig(host=""),
        cadence_s={**ONLY_VPN, "wifi": 0, "laptop": 0, "bandwidth": 0},
        report_s=10,
        stop_key=key.public,
    )


def give(folder: Path, kind: str, **wish: object) -> None:
    orders = folder / "stop-orders"
    add_line(orders, line(kind, wall_ms(), **wish), [COUNCIL.public], wall_ms())


def give_foreign(folder: Path, kind: str) -> None:
    write_lines(folder / "stop-orders", [line(kind, wall_ms(), by=FOREIGN)])


@contextlib.asynccontextmanager
async def agent_process(state: Path, config: str) -> AsyncIterator[None]:
    file = state.parent / "agent.toml"
    file.write_text(f'state_folder = "{state}"\n{config}')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SHORT, "--config", str(file), "run",
        env={**os.environ, "no_proxy": "127.0.0.1"},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


def enrol_laptop(council: Door, state: Path) -> AgentCredential:
    state.mkdir(parents=True)
    who = enrol(council.registry, "LAPTOP-1")
    (state / "credential.json").write_bytes(msgspec.json.encode(who))
    return who


async def status_where(state: Path, is_so: object) -> Status:
    assert callable(is_so)

    def ready() -> bool:
        status = read_status(state)
        return status is not None and is_so(status)

    await until(ready, seconds=60)
    status = read_status(state)
    assert status is not None
    return status


async def measures(state: Path) -> None:
    """Waits until a result newer than now is in the status."""
    now_ms = wall_ms()
    await status_where(state, lambda s: any(r.time_ms > now_ms for r in s.last))


async def is_quiet(state: Path) -> Status:
    """Waits until the agent says that it is stopped, and has gone on for a second."""
    stopped = await status_where(state, lambda s: s.quiet and s.stops)
    later = await status_where(
        state, lambda s: s.written_ms > stopped.written_ms + 1000
    )
    assert later.last == stopped.last
    return later


async def test_a_stop_acts_over_https_and_only_the_councils_key_ends_it(
    tmp_path: Path,
) -> None:
    folder, state = tmp_path / "council", tmp_path / "laptop" / "state"
    async with contextlib.AsyncExitStack() as running:
        async with door(folder, policy=policy()) as council:
            enrol_laptop(council, state)
            port, ca = council.ingest.port, council.certificates.authority
            config = f'server = "https://127.0.0.1:{port}"\nca_file = "{ca}"\n'
            await running.enter_async_context(agent_process(state, config))
            await measures(state)
            give(folder, "stop", why="calls broke <b>")
            status = await is_quiet(state)
            assert "calls broke" in status.quiet
            # It has nothing to report, but the Fleet page must not call it silent.
            assert council.registry.agents()[0].last_seen_ms > 0
        same = {"https": {"port": port}, "certificates": council.certificates}
        # An intruder runs the server now, with another key.
        give_foreign(folder, "resume")
        async with door(folder, **same, policy=policy(FOREIGN)):
            status = await status_where(state, lambda s: len(s.stop_faults) >= 2)
            assert status.quiet
            assert "another stop key" in " ".join(status.stop_faults)
        write_lines(folder / "stop-orders", [])
        async with door(folder, **same, policy=policy()):
            give(folder, "resume")
            await measures(state)
        give_foreign(folder, "stop")
        async with door(folder, **same, policy=policy(FOREIGN)):
            await status_where(state, lambda s: len(s.stop_faults) >= 2)
            await measures(state)


@pytest.mark.service
async def test_a_stop_acts_over_mqtt_and_a_resume_does(tmp_path: Path) -> None:
    folder, state = tmp_path / "council", tmp_path / "laptop" / "state"
    folder.mkdir()
    with running_broker(folder) as broker:
        async with (
            door(folder, policy=policy()) as council,
            ingesting(broker, folder, council.append, policy=policy()),
        ):
            enrol_laptop(council, state)
            await broker.files.load()
            config = (
                f'server = "https://127.0.0.1:{council.ingest.port}"\n'
                f'ca_file = "{council.certificates.authority}"\n'
                f'transport = "mqtt"\n[mqtt]\nhost = "127.0.0.1"\n'
                f"port = {broker.server.port}\ntls = false\n"
            )
            async with agent_process(state, config):
                await until(lambda: bool(council.append.rows()), seconds=60)
                give(folder, "stop", probes=("vpn",), why="VPN client hangs")
                status = await status_where(state, lambda s: s.stops)
                assert not status.quiet
                assert "VPN client hangs" in status.stops[0]
                give(folder, "resume")
                await status_where(state, lambda s: not s.stops)
                await measures(state)


async def test_the_receipt_names_the_version_of_the_policy(tmp_path: Path) -> None:
    async with door(tmp_path, policy=policy()) as council:
        who = enrol(council.registry, "LAPTOP-1")
        first = receipt(await council.send(who, body(report(who.agent, "r1"))))
        asked = await council.client.get("/v1/policy", auth=(who.agent, who.secret))
        known = decode(asked.content)
        assert first.policy == known.version != ""
        assert known.stop_key == COUNCIL.public
        give(tmp_path, "stop")
        council.ingest._policies._orders._looked_s = -10
        second = receipt(await council.send(who, body(report(who.agent, "r2"))))
        assert second.policy not in {"", first.policy}
        headers = {"If-None-Match": asked.headers["etag"]}
        changed = await council.client.get(
            "/v1/policy", auth=(who.agent, who.secret), headers=headers
        )
        assert len(decode(changed.content).orders) == 1


async def test_the_key_is_in_the_answer_to_an_enrolment(tmp_path: Path) -> None:
    from probes.agent.enrol import enrol as enrol_agent

    async with door(tmp_path / "council", policy=policy()) as council:
        token = council.registry.admin.make_token("hall", 1, 1, wall_ms())
        server = f"https://127.0.0.1:{council.ingest.port}"
        ca = str(council.certificates.authority)
        state = tmp_path / "state"
        await enrol_agent(server, token, state, ca, "test")
    assert read_credential(state).stop_key == COUNCIL.public
    assert StopOrders(state, server).key == COUNCIL.public


def test_the_end_of_a_pause_ends_no_stop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    until = "your council has stopped measuring until 10:00 on 3 March: tests"
    write_status(
        status_file(tmp_path),
        Status(written_ms=1, started_ms=1, software="", server="", agent="a",
               stops=(until,)),
    )  # fmt: skip
    assert laptop_commands.resume(None, Settings(state_folder=str(tmp_path))) == 0
    assert f"But {until}." in capsys.readouterr().out


def test_a_policy_that_is_never_to_be_fetched_again_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="refresh_s"):
        decode(b'{"refresh_s": 0}')


class Serving:
    """A policy source that counts how often it is asked."""

    def __init__(self, policy: Policy) -> None:
        self.now, self.asked = policy, 0

    async def policy(self, site: str = "") -> Policy:
        self.asked += 1
        return self.now


async def test_a_stopped_laptop_measures_nothing_sends_the_rest_and_goes_on_asking(
    tmp_path: Path,
) -> None:
    quick = Policy(cadence_s=QUICK, report_s=600, stop_key=COUNCIL.public)
    served = Serving(quick)
    laptop = Laptop(tmp_path, quick)
    async with laptop.running(policies=served):
        await until(lambda: laptop.round.done["vpn"] == 1)
        served.now = msgspec.structs.replace(
            quick, orders=(line(at_ms=laptop.clocks.now_ms(), why="tests"),)
        )
        # Nothing was heard of the policy for a quarter of an hour.
        asked = served.asked
        laptop.clock.passed_s += 840
        await until(lambda: served.asked > asked)
        status = tmp_path / "status.json"
        await until(lambda: b"has stopped measuring" in status.read_bytes())
        done = dict(laptop.round.done)
        asked = served.asked
        laptop.clock.passed_s += 840
        await until(lambda: served.asked > asked)
        assert dict(laptop.round.done) == done
    seen = read_status(tmp_path)
    assert seen is not None
    lines = status_lines(seen, laptop.clocks.now_ms())
    assert (
        sum("Your council has stopped measuring until" in text for text in lines) == 1
    )
    html = page(seen, (), laptop.clocks.now_ms(), "")
    assert html.count("Your council has stopped measuring until") == 1
    assert "towpath-agent resume" not in html


@pytest.mark.parametrize(
    ("laptop_ahead_days", "server_says_days", "stopped"),
    [
        # The laptop's clock is two years ahead or behind, the server's is right.
        (730, 730, True),
        (-730, -730, True),
        # The server claims that it is years later, or the stop is over by both.
        (0, -730, True),
        (40, 0, False),
    ],
)
async def test_neither_clock_alone_ends_a_stop(
    tmp_path: Path, laptop_ahead_days: int, server_says_days: int, stopped: bool
) -> None:
    quick = Policy(cadence_s=QUICK, report_s=600, stop_key=COUNCIL.public)
    laptop = Laptop(tmp_path, quick)
    order = line(at_ms=wall_ms(), days=30)
    StopOrders(tmp_path, "https://x").take(
        msgspec.structs.replace(quick, orders=(order,)), wall_ms()
    )
    laptop.clock.ahead_s = laptop_ahead_days * 86_400
    ahead_s = float(server_says_days * 86_400)
    async with laptop.running(clock_ahead_s=lambda: ahead_s):
        status = tmp_path / "status.json"
        await until(status.exists)
        if stopped:
            await until(lambda: b"has stopped measuring" in status.read_bytes())
            assert not laptop.round.done
        else:
            await until(lambda: laptop.round.done["vpn"] == 1)


def test_a_version_that_was_heard_of_is_fetched_once(tmp_path: Path) -> None:
    now_s = [0.0]
    policies = PolicyRefresh(
        tmp_path,
        Serving(Policy()),
        StopOrders(tmp_path, "https://x"),
        lambda: now_s[0],
    )
    least_s, most_s = policy_refresh.ASK_S
    assert policies.hear("") is None
    wait_s = policies.hear("v2")
    assert wait_s is not None
    assert 0 <= wait_s <= policy_refresh.SOON_S
    # Two servers that differ must not make a laptop fetch with every report.
    assert policies.hear("v2") is None
    now_s[0] += policy_refresh.SAME_VERSION_S
    assert policies.hear("v2") is not None
    now_s[0] += least_s - 1
    assert not policies.should_ask
    now_s[0] += most_s - least_s + 1
    assert policies.should_ask
    assert most_s + policy_refresh.SOON_S <= 15 * 60
