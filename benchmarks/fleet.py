"""A council rolls the agent out: 2,200 laptops with one token, through squid that asks
for a name and opens TLS with an authority of its own; a tenth have UDP blocked, a tenth
use the broker. Then the server is killed, the broker too, and 30 laptops are wiped and
set up again.

The server, the broker and squid are the real ones, the agents the shipped code with
made-up measurements (`benchmarks.fleet_laptops`). Takes a quarter of an hour:
`python -m benchmarks fleet --laptops 200 --steady 60` is shorter.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from inspecting_proxy import InspectingProxy
from river import Council, Running, towpath
from waiting import wait_until

from benchmarks.fleet_laptops import MEASURED, FleetEvent, FleetOrders
from benchmarks.process_cpu import process_cpu_s
from collectors.file_limit import raise_file_limit
from collectors.ingest import Registry
from collectors.ingest.certificate import make_certificates
from collectors.server_measurements import CATALOGUE
from collectors.store import open_store
from collectors.store.query import Pick, Query
from probes.measure.active_interface import local_address

# paho's select knows file handles below 1,024 only: few of its clients in a process.
_PROCESSES, _MQTT_PROCESSES = 4, 2
# The rings: twenty laptops first, then two hundred, then the rest.
_PILOT, _EARLY = 20, 200
_RINGS = """
[ingest.policy.rings.pilot]
hurry = false

[ingest.policy.rings.early]
longest_pause_s = 3600
"""
_DAY_MS = 86_400_000
# What the tests set, and what is set here instead: as shipped.
_SHIPPED = {
    "cadence_s = { vpn = 1, agent = 1, web = 0, name_lookup = 0, call_path = 0 }\n": "",
    "report_s = 10\n": "",
    "limits = { reports_per_s = 1000, reports_burst = 100000 }\n": "",
}


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks fleet")
    parser.add_argument("--laptops", type=int, default=2_200)
    parser.add_argument("--anew", type=int, default=30, help="how many are wiped")
    parser.add_argument("--within", type=float, default=180, help="installed within s")
    parser.add_argument("--steady", type=float, default=300, help="seconds measured")
    parser.add_argument("--watch", type=float, default=200, help="seconds afterwards")
    parser.add_argument("--down", type=float, default=45, help="seconds without server")
    parser.add_argument("--keep", type=Path, help="folder for files and logs")
    chosen = parser.parse_args(list(options))
    raise_file_limit()
    with contextlib.ExitStack() as stack:
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        rollout = _RollOut(folder.resolve(), chosen)
        return stack.enter_context(rollout.running()).measure()


class _RollOut:
    def __init__(self, folder: Path, chosen: argparse.Namespace) -> None:
        self._folder, self._chosen = folder, chosen
        self._address = local_address("203.0.113.1") or "127.0.0.1"
        self._council = Council(folder)
        self._council.tls = make_certificates(
            folder / "tls", (self._address, "localhost")
        )
        self._broker = self._council.mosquitto()
        self._proxy = InspectingProxy(folder / "proxy", self._council.tls.authority)
        self._write_settings()
        self._ingest = Running(self._council, "ingest")
        self._store = Running(self._council, "store")
        self._events = folder / "events.jsonl"
        self._laptops: list[subprocess.Popen[bytes]] = []
        self._figures: dict[str, Any] = {"laptops": chosen.laptops}

    def _write_settings(self) -> None:
        council = self._council
        council.write_settings(_RINGS + council.broker_settings(self._broker.port))
        text = council.settings.read_text()
        # Laptops reach a loopback address without a proxy, whatever is set.
        host = f'[ingest.https]\nhost = "{self._address}"'
        shipped_instead = {'[ingest.https]\nhost = "127.0.0.1"': host, **_SHIPPED}
        for tests, shipped in shipped_instead.items():
            assert tests in text, tests
            text = text.replace(tests, shipped)
        council.settings.write_text(text)

    @contextlib.contextmanager
    def running(self) -> Iterator[_RollOut]:
        servers = (self._ingest, self._store, self._broker, self._proxy)
        try:
            for server in servers:
                server.start()
            self._start_laptops()
            yield self
        finally:
            self._stop_laptops()
            for server in servers:
                server.stop()

    def measure(self) -> dict[str, Any]:
        chosen = self._chosen
        self._install()
        self._measure_reports(chosen.steady)
        self._break("server", self._ingest)
        self._break("broker", self._broker)
        self._set_up_anew()
        self._count_lost()
        return self._figures

    # What happens.

    def _install(self) -> None:
        wanted, begun_s = self._chosen.laptops, time.time()
        cpu_s = process_cpu_s(self._ingest.pid)
        wait_until(
            lambda: len(self._enrolled()) >= wanted,
            "every laptop to enrol",
            self._chosen.within + 300,
            1.0,
        )
        took_s = max(self._enrolled().values()) - begun_s
        spent_s = process_cpu_s(self._ingest.pid) - cpu_s
        self._show("enrolled", len(self._enrolled()))
        self._show("enrolled_within_s", took_s)
        self._show("server_ms_per_enrolment", 1000 * spent_s / wanted)

    def _measure_reports(self, seconds: float) -> None:
        processes = {"ingest": self._ingest, "store": self._store}
        processes |= {"broker": self._broker, "squid": self._proxy}
        before = {name: process_cpu_s(each.pid) for name, each in processes.items()}
        begun_s = time.time()
        time.sleep(seconds)
        reports = [e for e in self._read() if e.what == "delivered"]
        count = sum(event.at_s > begun_s for event in reports)
        self._show("requests_per_s", count / seconds)
        for name, each in processes.items():
            spent_s = process_cpu_s(each.pid) - before[name]
            self._show(f"{name}_ms_per_request", 1000 * spent_s / max(count, 1))
            self._show(f"{name}_core_share", spent_s / seconds)

    def _break(self, name: str, server: Any) -> None:
        """Kills a server, starts it again, and shows when laptops that had noticed are
        back."""
        down_s, killed_s = self._chosen.down, time.time()
        server.kill()
        time.sleep(down_s)
        server.start()
        up_s = time.time()
        time.sleep(self._chosen.watch)
        noticed: set[int] = set()
        back: dict[int, float] = {}
        for event in self._read():
            if event.at_s < killed_s:
                continue
            if event.what == "failed" and event.at_s < up_s:
                noticed.add(event.laptop)
            if event.what == "delivered" and event.at_s >= up_s:
                back.setdefault(event.laptop, event.at_s - up_s)
        times_s = sorted(back[laptop] for laptop in noticed if laptop in back)
        self._show(f"{name}_noticed", len(noticed))
        self._show(f"{name}_back", len(times_s))
        if times_s:
            self._show(f"{name}_first_back_s", times_s[0])
            self._show(f"{name}_last_back_s", times_s[-1])
            busiest = collections.Counter(int(s) for s in times_s).most_common(1)
            self._show(f"{name}_most_back_in_1_s", busiest[0][1])

    def _set_up_anew(self) -> None:
        wanted = self._chosen.laptops + self._chosen.anew
        for process in self._laptops:
            process.send_signal(signal.SIGUSR1)
        wait_until(
            lambda: sum(e.what == "enrolled" for e in self._read()) >= wanted,
            "the wiped laptops to enrol",
            120,
            1.0,
        )
        time.sleep(5)
        with Registry(self._council.config.ingest.registry) as registry:
            states = collections.Counter(
                "counted" if agent.counts else "replaced" for agent in registry.agents()
            )
            rings = collections.Counter(
                agent.ring for agent in registry.agents() if agent.counts
            )
        self._show("counted_after_wipe", states["counted"])
        self._show("replaced_after_wipe", states["replaced"])
        for ring, laptops in sorted(rings.items()):
            self._show(f"ring_{ring or 'rest'}", laptops)

    def _count_lost(self) -> None:
        """Compares what the server has confirmed with what is in the store."""
        self._stop_laptops()
        confirmed: collections.Counter[int] = collections.Counter()
        names: dict[int, list[str]] = collections.defaultdict(list)
        for event in self._read():
            if event.what == "delivered":
                confirmed[event.laptop] += event.count
            elif event.what == "enrolled":
                names[event.laptop].append(event.why)
        time.sleep(10)  # The store writes what the journal has.
        for role in (self._ingest, self._store):
            role.stop()
        stored = asyncio.run(self._stored())
        lost = sum(
            max(count - sum(stored.get(name, 0) for name in names[laptop]), 0)
            for laptop, count in confirmed.items()
        )
        self._show("confirmed_calls", confirmed.total())
        self._show("stored_calls", sum(stored.values()))
        self._show("confirmed_and_lost", lost)

    async def _stored(self) -> dict[str, int]:
        now_ms = int(time.time() * 1000)
        query = Query(
            MEASURED,
            (Pick("outcome", "count"),),
            now_ms - _DAY_MS,
            now_ms + _DAY_MS,
            group_by=("agent",),
        )
        async with open_store(self._council.config.store, CATALOGUE) as store:
            rows = await store.query(query)
        return {row.tags["agent"]: int(row.values["outcome_count"]) for row in rows}

    # The laptops.

    def _start_laptops(self) -> None:
        chosen = self._chosen
        everyone = list(range(chosen.laptops))
        made = towpath(
            *("fleet", "token", "-c", self._council.settings, "--site", "hall"),
            *("--uses", str(chosen.laptops + chosen.anew), "--days", "1"),
        )
        if made.returncode:
            raise RuntimeError(made.stderr)
        proxied = {"https_proxy": self._proxy.url, "no_proxy": "127.0.0.1"}
        over_mqtt = everyone[5::10]
        others = sorted(set(everyone) - set(over_mqtt))
        shares = [others[n::_PROCESSES] for n in range(_PROCESSES)]
        shares += [over_mqtt[n::_MQTT_PROCESSES] for n in range(_MQTT_PROCESSES)]
        for number, share in enumerate(shares):
            orders = FleetOrders(
                folder=str(self._folder / "laptops"),
                events=str(self._events),
                laptops=share,
                server=f"https://{self._address}:{self._council.https}",
                token=made.stdout.strip(),
                ca_file=str(self._trusted()),
                within_s=chosen.within,
                broker_port=self._broker.port,
                blocked=frozenset(everyone[::10]),
                over_mqtt=frozenset(over_mqtt),
                anew=frozenset(everyone[: chosen.anew]),
                rings=dict.fromkeys(everyone[:_PILOT], "pilot")
                | dict.fromkeys(everyone[_PILOT : _PILOT + _EARLY], "early"),
            )
            path = self._folder / f"orders-{number}.json"
            path.write_bytes(msgspec.json.encode(orders))
            command = [sys.executable, "-m", "benchmarks.fleet_laptops", str(path)]
            with (self._folder / f"laptops-{number}.log").open("wb") as log:
                self._laptops.append(
                    subprocess.Popen(command, stderr=log, env={**os.environ, **proxied})
                )

    def _trusted(self) -> Path:
        """What the laptops trust: the proxy's authority, and the broker's."""
        path = self._folder / "trusted.pem"
        both = self._proxy.ca_file, self._council.tls.authority
        path.write_text("".join(file.read_text() for file in both))
        return path

    def _stop_laptops(self) -> None:
        for process in self._laptops:
            process.terminate()
        for process in self._laptops:
            process.wait(60)
        self._laptops = []

    def _read(self) -> list[FleetEvent]:
        if not self._events.exists():
            return []
        lines = self._events.read_bytes().splitlines()
        decoder = msgspec.json.Decoder(FleetEvent)
        return [decoder.decode(line) for line in lines]

    def _enrolled(self) -> dict[int, float]:
        return {e.laptop: e.at_s for e in self._read() if e.what == "enrolled"}

    def _show(self, name: str, value: float) -> None:
        self._figures[name] = value
        print(f"  {name:32} {value:>12,.2f}", flush=True)
