"""The real lab: real devices' agents in network namespaces, the real `towpath run`, and
what it pages when something breaks.

`lab_council` describes it, `lab_network` builds it, `lab_faults` breaks it. Towpath
runs at the town hall with ordinary settings, receives traps, and posts its pages to a
receiver. It is killed once in the middle of three faults. All takes about an hour:
`python -m benchmarks lab --rounds 1,4` runs a part. Without namespaces it says so.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from alerts.notify.page import Page
from benchmarks.incident_engine import Message
from benchmarks.incident_faults import Fault
from benchmarks.incident_scores import Scores, named_cause, score
from benchmarks.lab_council import (
    COMMUNITY,
    MONITOR,
    NODES,
    WEBHOOK_PORT,
    estate_toml,
    towpath_toml,
)
from benchmarks.lab_faults import FAULTS, ROUNDS, SETTLE_MS, LabFault
from benchmarks.lab_network import (
    LabMissing,
    LabNetwork,
    Started,
    end_group,
    start_group,
)

_HEALTHY_S = 240.0
_KILL_AFTER_S = 200.0
_REPOSITORY = Path(__file__).resolve().parents[1]


class Broken(NamedTuple):
    """A fault that has been, and when."""

    lab: LabFault
    fault: Fault


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks lab")
    parser.add_argument("--rounds", default="", help="such as 1,4; default: all")
    parser.add_argument("--period", type=float, default=15, help="of polls, in seconds")
    parser.add_argument("--keep", type=Path, help="folder for files and logs")
    chosen = parser.parse_args(list(options))
    rounds = [int(n) for n in chosen.rounds.split(",") if n] or ROUNDS
    with ExitStack() as stack:
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            network = stack.enter_context(LabNetwork())
        except LabMissing as error:
            print(f"skipped: {error}")
            return {"skipped": str(error)}
        if not network.has_lldp:
            print("without LLDP (it needs root and lldpd): the estate names parents")
        lab = stack.enter_context(RunningLab(network, folder, chosen.period))
        return lab.run(rounds)


class RunningLab:
    """Towpath in the lab, and the record of faults and messages."""

    def __init__(self, network: LabNetwork, folder: Path, period_s: float) -> None:
        self._network, self._folder, self._period_s = network, folder, period_s
        self._broken: list[Broken] = []
        self._started: dict[str, Started] = {}

    def __enter__(self) -> RunningLab:
        folder = self._folder
        (folder / "estate.toml").write_text(estate_toml(not self._network.has_lldp))
        (folder / "towpath.toml").write_text(towpath_toml(self._period_s))
        credentials = folder / "snmp.toml"
        credentials.write_text(
            f'[default]\nversion = "2c"\ncommunity = "{COMMUNITY}"\n'
        )
        credentials.chmod(0o600)
        self._start(
            "receiver",
            "-m",
            "benchmarks.lab_receiver",
            str(WEBHOOK_PORT),
            str(folder / "pages.jsonl"),
        )
        self._start_towpath()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started.values():
            end_group(process, signal.SIGTERM)

    def run(self, rounds: Sequence[int]) -> dict[str, Any]:
        """Runs these rounds of faults, one after another."""
        began_ms = _now_ms()
        _wait_until(began_ms + _HEALTHY_S * 1000)
        at_start = len(self._messages())
        print(f"first start: {at_start} pages in {_HEALTHY_S:.0f} s", flush=True)
        for number in rounds:
            self._round([fault for fault in FAULTS if fault.round == number])
        return self._summary(at_start)

    def _round(self, faults: Sequence[LabFault]) -> None:
        for fault in faults:
            if fault.maintenance:
                lasts = f"{fault.lasts_min + 6:.0f}m"
                self._towpath(
                    "maintenance",
                    "add",
                    "--device",
                    fault.maintenance,
                    "--for",
                    lasts,
                    "--why",
                    "patching",
                )
        start_ms = _now_ms()
        begins = [(f.after_min, True, n) for n, f in enumerate(faults)]
        ends = [(f.after_min + f.lasts_min, False, n) for n, f in enumerate(faults)]
        begun: dict[int, int] = {}
        kill = faults[0].round == 1
        for after_min, is_begin, n in sorted(begins + ends, key=lambda e: e[0]):
            if kill and after_min * 60 > _KILL_AFTER_S:
                _wait_until(start_ms + _KILL_AFTER_S * 1000)
                self._kill_towpath()
                kill = False
            _wait_until(start_ms + after_min * 60_000)
            fault = faults[n]
            print(
                f"{_clock()} {'begins' if is_begin else 'mended'}: {fault.kind}",
                flush=True,
            )
            if is_begin:
                begun[n] = _now_ms()
                fault.begin(self._network)
            else:
                fault.mend(self._network)
                ended = fault.scored(begun[n], _now_ms())
                self._broken.append(Broken(fault, ended))
        _wait_until(_now_ms() + SETTLE_MS)

    def _start(self, name: str, *arguments: str) -> None:
        command = self._network.at(
            MONITOR, "env", "-C", str(_REPOSITORY), sys.executable, *arguments
        )
        self._started[name] = start_group(command, self._folder / f"{name}.log")

    def _start_towpath(self) -> None:
        roles = [
            part for role in ("poll", "store", "alert") for part in ("--role", role)
        ]
        self._start(
            "towpath",
            "-m",
            "towpath.cli",
            "run",
            "-c",
            str(self._folder / "towpath.toml"),
            *roles,
        )

    def _kill_towpath(self) -> None:
        print(f"{_clock()} kill -9 of Towpath, and a new start", flush=True)
        end_group(self._started["towpath"], signal.SIGKILL)
        self._start_towpath()

    def _towpath(self, *arguments: str) -> None:
        self._start(
            "command",
            "-m",
            "towpath.cli",
            *arguments,
            "-c",
            str(self._folder / "towpath.toml"),
        )
        if self._started.pop("command").wait(60):
            raise RuntimeError((self._folder / "command.log").read_text())

    def _messages(self) -> list[Message]:
        path = self._folder / "pages.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Message(at_ms, _page(data)) for at_ms, data in map(json.loads, lines)]

    def _summary(self, at_start: int) -> dict[str, Any]:
        messages = self._messages()
        paged = [b.fault for b in self._broken if not b.lab.maintenance]
        scores = score(paged, messages)
        _print(scores, messages)
        firsts = [m for m in messages if m.page.kind == "page"]
        return {
            "devices": len(NODES),
            "lldp": self._network.has_lldp,
            "faults": len(paged),
            "kinds": len({fault.kind for fault in paged}),
            "precision": round(scores.precision, 3),
            "recall": round(scores.recall, 3),
            "messages_per_fault": round(scores.pages_per_incident, 3),
            "without_page": scores.without_page,
            "false_pages": len(scores.false_pages),
            "at_first_start": at_start,
            "without_end": sum(_end_of(m, messages) is None for m in firsts),
        }


def _print(scores: Scores, messages: Sequence[Message]) -> None:
    table = Table("fault", "pages", "named", "paged after, s", "ended after, s")
    for outcome in scores.outcomes:
        ends = [_end_of(message, messages) for message in outcome.messages]
        table.add_row(
            outcome.fault.kind,
            str(len(outcome.messages)),
            ", ".join(named_cause(m.page.data["alerts"][0]) for m in outcome.messages),
            ", ".join(
                _after(outcome.fault.begin_ms, m.time_ms) for m in outcome.messages
            ),
            ", ".join(_after(outcome.fault.end_ms, ended) for ended in ends),
        )
    Console(width=110).print(table)
    for message in messages:
        print(
            f"  {_clock(message.time_ms)} {message.page.kind}: {message.page.subject}"
        )
    for message in scores.false_pages:
        print(f"  false: {message.page.subject}")


def _end_of(page: Message, messages: Sequence[Message]) -> int | None:
    """When the last of its alerts was reported as over."""
    open_now = {alert["episode"] for alert in page.page.data["alerts"]}
    for message in messages:
        if message.time_ms < page.time_ms:
            continue
        over = {a["episode"] for a in message.page.data["alerts"] if a["over"]}
        open_now -= over
        if not open_now:
            return message.time_ms
    return None


def _page(data: dict[str, Any]) -> Page:
    fields = {
        name: data[name] for name in ("id", "kind", "severity", "subject", "sent_ms")
    }
    return Page(
        **fields, thread="", text="", html="", short_text="", data=data, alerts=()
    )


def _after(from_ms: int, to_ms: int | None) -> str:
    return "never" if to_ms is None else str(round((to_ms - from_ms) / 1000))


def _now_ms() -> int:
    return round(time.time() * 1000)


def _clock(at_ms: int | None = None) -> str:
    return time.strftime("%H:%M:%S", time.localtime((at_ms or _now_ms()) / 1000))


def _wait_until(at_ms: float) -> None:
    time.sleep(max(0.0, at_ms - _now_ms()) / 1000)
