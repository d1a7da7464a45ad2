"""The whole river on real parts: an snmpd whose interface carries traffic, mosquitto
with TLS and Towpath's users, influxd, the agent's publishers and the agent itself. The
collector, the broker and the database are killed (kill -9) in turn, and then everything
that was receipted is counted in the database."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import services
from river import COMMUNITY, Council, Influx, Relay, Running, environment, started
from river_laptops import Laptops, report
from shaped_path import FAR, ShapedPath, shaped_path
from waiting import until

from probes.wire.clock import wall_ms

pytestmark = [pytest.mark.service, pytest.mark.netns]

# net-snmp looks at its interfaces every so many seconds (nsCacheTimeout of ifTable).
# A poll may see all of these, over as little as half a period of one second.
CACHE_S, SHORTEST_S = 3.5, 0.5
# What is sent for as long as the test lasts, and what had been sent before it: a rate
# made of the whole counter would be a hundred times too high.
STEADY_BPS = 2_000_000
PRELOAD_OCTETS = 300_000_000
PAYLOAD, HEADERS = 1400, 14 + 20 + 8
_SEND = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
where, size, preload, bps = (sys.argv[1], 9), *map(int, sys.argv[2:])
def send(octets):
    for _ in range(octets // size):
        while True:
            try:
                out.sendto(bytes(size), where)
                break
            except OSError:
                time.sleep(0.001)
send(preload)
print("steady", flush=True)
began, sent = time.monotonic(), 0
while True:
    due = (time.monotonic() - began) * bps / 8 - sent
    if due >= size:
        send(size)
        sent += size
    else:
        time.sleep(0.002)
"""


@contextlib.contextmanager
def snmpd_with_traffic(folder: Path) -> Iterator[tuple[ShapedPath, int]]:
    """A path whose near end carries `STEADY_BPS`; its agent's port out here."""
    with shaped_path() as path:
        server = services.snmpd(folder, f"rocommunity {COMMUNITY} 127.0.0.1\n")
        server.command = path.near(*server.command)
        server._ready = lambda: "NET-SNMP version" in server.log.read_text()
        sender = subprocess.Popen(
            path.near(
                sys.executable, "-c", _SEND, FAR,
                str(PAYLOAD), str(PRELOAD_OCTETS), str(STEADY_BPS),
            ),
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert sender.stdout is not None
        try:
            assert sender.stdout.readline() == b"steady\n"
            with services.running(server), Relay(path, server.port) as relay:
                yield path, relay.port
        finally:
            sender.kill()
            sender.wait(10)
            sender.stdout.close()


def near_octets(path: ShapedPath) -> int:
    """What the kernel has counted out of near0."""
    done = subprocess.run(
        path.near("ip", "-s", "-j", "link", "show", "near0"),
        capture_output=True,
        check=True,
        timeout=20,
    ).stdout
    return int(json.loads(done)[0]["stats64"]["tx"]["bytes"])


@contextlib.asynccontextmanager
async def own_agent(council: Council) -> Any:
    """A real agent process; yields its state folder, and stops it at the end."""
    folder = council.folder / "agent"
    settings = council.folder / "agent.toml"
    settings.touch(0o600)
    settings.write_text(
        f'server = "{council.server}"\nca_file = "{council.tls.authority}"\n'
        f'enrolment_token = "{council.token()}"\nstate_folder = "{folder}"\n'
    )
    command = [
        sys.executable,
        "-m",
        "probes.agent.agent_cli",
        "--config",
        str(settings),
        "run",
    ]
    with (council.folder / "agent.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, env=environment()
        )
    try:
        yield folder
    finally:
        process.terminate()
        async with asyncio.timeout(30):
            await process.wait()


def agent_receipts(folder: Path) -> set[tuple[str, int]]:
    """(probe, time) of every result of the agent that the server has receipted."""
    log = folder / "sent.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return {
        (result["probe"], result["time_ms"])
        for line in lines
        for result in json.loads(line)["report"]["results"]
    }


async def flow(folder: Path, rounds: int, each: int, chance: random.Random) -> None:
    """`rounds` times: kill the collector, the broker and influxd, each in turn, with
    `each` receipts more for every laptop in between."""
    council = Council(folder)
    database, broker = services.influxd(folder / "influxd"), council.mosquitto()
    influx = Influx(database.port)
    council.write_settings(
        ingest=council.broker_settings(broker.port),
        store=f'kind = "influxdb"\nurl = "http://127.0.0.1:{database.port}"\n'
        "flush_s = 0.3",
    )
    collector = Running(council)
    with snmpd_with_traffic(folder / "snmpd") as (path, port):
        council.write_estate({"real": port})
        begin_octets, begin_ms = near_octets(path), wall_ms()
        async with (
            started(database, collector, broker),
            own_agent(council) as agent,
            Laptops(council, https=5, mqtt=3, broker=broker.port) as laptops,
        ):
            await laptops.more(each)
            await until(lambda: bool(agent_receipts(agent)), "the agent's first report")
            kills = 0
            for _ in range(rounds):
                for victim in (collector, broker, database):
                    await asyncio.to_thread(victim.kill)
                    kills += 1
                    await asyncio.sleep(chance.uniform(0.1, 1.0))
                    if victim is database:
                        # Reports are receipted while there is no database.
                        await laptops.more(each)
                    await asyncio.to_thread(victim.start)
                    await laptops.more(each)
            await laptops.finish()
            total = laptops.receipts
            await until(
                lambda: sum(map(len, influx.numbers().values())) >= total,
                f"{total} reports in the database",
                60,
            )
            polls = len(_rates(influx))
            await until(lambda: len(_rates(influx)) >= polls + 3, "more polls", 90)
            # What comes every half hour may come now: it is asked for elsewhere.
            of_agent = {r for r in agent_receipts(agent) if r[0] in _ASKED_FOR}
            end_octets, end_ms = near_octets(path), wall_ms()
            found = influx.numbers()
            for laptop in laptops.all:
                numbers = found[laptop.agent]
                assert laptop.receipted == set(numbers)
                assert len(numbers) == len(set(numbers)), "a report is there twice"
            lookups = influx.rows(
                "towpath_personal", "SELECT count(ok) FROM name_lookup"
            )
            assert lookups[0][1][1] == total
            await until(
                lambda: of_agent <= _results_of_the_agent(influx),
                "the agent's results",
                60,
            )
            steady_bps = (end_octets - begin_octets) * 8 / (end_ms - begin_ms) * 1000
            most_bps = steady_bps * (1 + CACHE_S) / SHORTEST_S
            rates = _rates(influx)
            retries = sum(laptop.failures for laptop in laptops.all)
            in_https = sum(len(laptop.receipted) for laptop in laptops.https)
            in_mqtt = sum(len(laptop.receipted) for laptop in laptops.mqtt)
            print(
                f"\n{kills} kills; {total} reports receipted ({in_https} over HTTPS, "
                f"{in_mqtt} over MQTT, {retries} tries failed), "
                f"{sum(map(len, found.values()))} found, none twice; "
                f"{len(of_agent)} results of the agent's own; {len(rates)} rates of "
                f"near0 between {min(rates):,.0f} and {max(rates):,.0f} bit/s, "
                f"really sent {steady_bps:,.0f} bit/s"
            )
            assert kills == 3 * rounds
            assert all(laptop.failures for laptop in laptops.all)
            assert len(rates) >= 10
            assert min(rates) >= 0
            assert max(rates) <= most_bps
            # What a cache held back from before the first rate after each start.
            held = steady_bps / 8 * CACHE_S * (1 + rounds)
            assert _octets(influx) <= end_octets - begin_octets + held


def _rates(influx: Influx) -> list[float]:
    query = "SELECT out_bps FROM interface WHERE device='real' AND port='near0'"
    return [float(values[1]) for _, values in influx.rows("towpath", query)]


def _octets(influx: Influx) -> float:
    """All rates of near0, each times its interval by the agent's own clock."""
    query = "SELECT uptime_s FROM device WHERE device='real'"
    clock = {values[0]: values[1] for _, values in influx.rows("towpath", query)}
    query = "SELECT out_bps, up FROM interface WHERE device='real' AND port='near0'"
    total, last_s = 0.0, 0.0
    for _, (time_ms, out_bps, _) in influx.rows("towpath", query):
        now_s = clock[time_ms]
        # A row without a rate: it, or the one after it, is the next one's beginning.
        total += 0.0 if out_bps is None else out_bps / 8 * (now_s - last_s)
        last_s = now_s
    return total


_ASKED_FOR = ("agent", "vpn")


def _results_of_the_agent(influx: Influx) -> set[tuple[str, int]]:
    return {
        (probe, values[0])
        for probe in _ASKED_FOR
        for _, values in influx.rows("towpath_personal", f"SELECT ok FROM {probe}")
    }


def test_a_report_says_where_it_is_found() -> None:
    """The numbers by which the others count."""
    one, two = report("a", 1), report("a", 2)
    assert one.results[0].time_ms < two.results[0].time_ms < wall_ms()
    assert two.results[0].values["sent"] == 2


@pytest.mark.timeout(300)
async def test_kills_of_everything_lose_and_double_nothing_and_draw_no_spike(
    tmp_path: Path,
) -> None:
    await flow(tmp_path, rounds=2, each=15, chance=random.Random(3))


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_kills_of_everything_for_long(tmp_path: Path) -> None:
    await flow(tmp_path, rounds=20, each=60, chance=random.Random())
