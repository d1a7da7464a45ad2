"""Polls every recorded device beside the checkout with `towpath poll`, and scores what
was read against the expected facts, by class of device.

    python -m benchmarks recorded_scores
    python -m benchmarks recorded_scores --unmatched FILE.json
    python -m benchmarks recorded_scores --mibs-alone --open
    python -m benchmarks recorded_scores --maker-unknown

A tenth of the recordings, chosen by a hash of their names, is held out: profiles are
written without looking at them, so that their score estimates that of unseen devices.
Only sums of them are printed, with `--open` not even these, and nothing about them is
written. `--mibs-alone` leaves out all profiles that were written for known devices: how
far standard MIBs and drafted tables carry. `--maker-unknown` scores the devices of each
maker without the profiles that only its devices use: how far a device of a new maker
gets. As it says nothing about the held-out recordings, it can be run at any time.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import services
from waiting import wait_until

from collectors.discovery.found_devices import guess_role
from collectors.discovery.sweep import SweepAnswer
from collectors.snmp.profiles import load
from collectors.snmp.profiles.identity import Identity

COUNCIL = (
    "switch",
    "router",
    "firewall",
    "wireless",
    "ups",
    "pdu",
    "environment",
    "server",
    "printer",
    "voice",
    "video",
)
# Column of the table: the scorer's sections in it.
FIGURES = {
    "identity": ("identity",),
    "ports": ("ports", "ports.fields", "ports.counters"),
    "standard": ("sensors.standard",),
    "vendor": ("sensors.vendor",),
    "cpu+mem": ("cpu", "memory"),
    "wireless": ("wireless.clients", "wireless.other"),
    "vlans": ("vlans",),
    "entities": ("entities",),
    "optics": ("transceivers",),
    "role": ("role",),
}
# The roles that `towpath discover` should give to these classes.
ROLES = {
    "switch": ("switch",),
    "router": ("router",),
    "firewall": ("firewall",),
    "wireless": ("access_point", "controller"),
    "ups": ("ups",),
    "pdu": ("environment",),
    "environment": ("environment",),
    "server": ("other",),
    "printer": ("other",),
    "voice": ("other",),
    "video": ("other",),
}
# What a device in a council's building can show, by class of sensor, in the unit of the
# catalogue: narrower than what Towpath accepts, so a reading outside is worth a look.
LIKELY = {
    "temperature": (-40, 150),
    "humidity": (0, 100),
    "voltage": (-500, 1000),
    "current": (-1000, 2000),
    "power": (-10_000, 2_000_000),
    "frequency": (0, 1000),
    "fanspeed": (0, 40_000),
    "load": (0, 200),
    "charge": (0, 105),
    "percent": (0, 105),
    "dbm": (-60, 15),
    "signal": (-150, 50),
    "runtime": (0, 100_000),
    "power_factor": (-1, 1),
}
# A value this far from the expected one is of another scale or another thing.
_OTHER_SCALE = 2.0
_TENTH = 10
_PROCESSES = 2
_AT_ONCE = 24


def run(options: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the figures by group and class; nothing without a corpus."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks recorded_scores")
    parser.add_argument(
        "--unmatched", type=Path, help="write what was not matched, by device"
    )
    parser.add_argument("--poll", type=Path, help="keep what was polled")
    parser.add_argument(
        "--mibs-alone", action="store_true", help="without profiles of known devices"
    )
    parser.add_argument(
        "--maker-unknown",
        action="store_true",
        help="score each maker's devices without its own profiles (polls twice)",
    )
    parser.add_argument(
        "--open", action="store_true", help="print nothing of the held-out recordings"
    )
    given = parser.parse_args(options)
    corpus, tools = services.SHARED / "corpus", services.SHARED / "tools" / "corpus"
    if not (corpus / "index.csv").exists() or shutil.which("go") is None:
        print("no corpus of recorded devices beside this checkout, or no Go compiler")
        return {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began_s = time.monotonic()
        with _responder(tools, corpus, folder) as targets:
            unknown = None
            if given.maker_unknown:
                polled = _poll(targets, folder, None)
                unknown = _hide_profiles(folder, _profiles_of_one(polled, corpus))
            elif given.mibs_alone:
                unknown = _hide_profiles(folder, _known_profiles())
            polled = _poll(targets, folder, unknown)
        result = _score(tools, corpus, polled)
        seconds = time.monotonic() - began_s
        rows = [json.loads(line) for line in polled.read_text().splitlines()]
    classes = _read_index(corpus, "class")
    wrong = {row["name"]: _doubtful(row, corpus) for row in rows}
    groups = {
        "open": {name for name in classes if not is_held_out(name)},
        "held out": {name for name in classes if is_held_out(name)},
    }
    if given.open or given.maker_unknown:
        del groups["held out"]
    if given.unmatched:
        listed = {
            name: {"unmatched": result["unmatched"].get(name), "doubtful": wrong[name]}
            for name in sorted(groups["open"] & wrong.keys())
        }
        given.unmatched.write_text(json.dumps(listed, indent=1) + "\n")
    if given.poll:
        kept = [row for row in rows if row["name"] in groups["open"]]
        given.poll.write_text("".join(json.dumps(row) + "\n" for row in kept))
    for row in rows:
        if classes[row["name"]] in ROLES:
            role = {"expected": 1, "matched": int(_has_role(row, classes))}
            result["devices"].setdefault(row["name"], {})["role"] = role
    figures = {
        title: _table(title, names, classes, result["devices"], wrong)
        for title, names in groups.items()
    }
    failures = [each["where"] for each in result["hard_failures"]]
    for title, names in groups.items():
        count = sum(where in names for where in failures)
        print(f"hard failures, {title}: {count}")
    print(f"{len(rows)} devices polled and scored in {seconds:.0f} s")
    return figures | {"seconds": round(seconds, 1)}


def is_held_out(name: str) -> bool:
    """Return True for a tenth of all names, the same ones each time."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % _TENTH == 0


@contextlib.contextmanager
def _responder(tools: Path, corpus: Path, folder: Path) -> Iterator[Path]:
    """Serve the recordings on loopback; yields the file of targets."""
    program, targets = folder / "responder", folder / "targets.csv"
    subprocess.run(
        ["go", "build", "-o", program, "."], cwd=tools / "responder", check=True
    )
    command = [program, "-dir", corpus / "recordings", "-port", _free_port()]
    with subprocess.Popen([*command, "-targets", targets]) as process:
        try:
            wait_until(lambda: _holds_text(targets), "targets of the responder", 60)
            yield targets
        finally:
            process.terminate()


def _free_port() -> str:
    """Return a port that no other run uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.77.0.1", 0))
        return str(listener.getsockname()[1])


def _holds_text(file: Path) -> bool:
    return file.exists() and bool(file.read_text())


def _read_index(corpus: Path, column: str) -> dict[str, str]:
    with (corpus / "index.csv").open(encoding="utf-8") as file:
        return {row["name"]: row[column] for row in csv.DictReader(file)}


def _known_profiles() -> set[str]:
    """Return the names of the profiles that were written for known devices."""
    return {p.name for p in load() if not (p.is_general or p.head.drafted)}


def _profiles_of_one(polled: Path, corpus: Path) -> set[str]:
    """Return the names of the known profiles that apply to the devices of one maker, of
    those that are not held out.

    All of these can be hidden in one poll: to hide the profiles of one maker makes no
    difference to the devices of another.
    """
    vendors = _read_index(corpus, "vendor")
    makers: dict[str, set[str]] = defaultdict(set)
    for row in map(json.loads, polled.read_text().splitlines()):
        if not is_held_out(row["name"]):
            for profile in row.get("profiles") or ():
                makers[profile].add(vendors[row["name"]])
    return {name for name in _known_profiles() if len(makers[name]) == 1}


def _hide_profiles(folder: Path, names: Collection[str]) -> Path:
    """Return a folder of profiles that replace those of these names with nothing."""
    profiles = folder / "profiles"
    profiles.mkdir()
    for profile in load():
        if profile.name in names:
            # A family without a root could not be inherited any more.
            root = f"root: {profile.head.root}\n" if profile.head.root else ""
            text = f"{root}match: inherited\n---\n"
            (profiles / profile.file.name).write_text(text)
    return profiles


def _poll(targets: Path, folder: Path, profiles: Path | None) -> Path:
    """Poll all targets as a user would, in several processes; returns the facts."""
    with targets.open(encoding="utf-8") as file:
        head, *lines = file.readlines()
    polls = []
    for n in range(_PROCESSES):
        share = folder / f"targets-{n}.csv"
        share.write_text(head + "".join(lines[n::_PROCESSES]))
        output = (folder / f"poll-{n}.jsonl").open("wb")
        towpath = Path(sys.executable).with_name("towpath")
        command = [towpath, "poll", "--targets", share, "--jsonl"]
        command += ["--at-once", str(_AT_ONCE), "--timeout", "3"]
        if profiles is not None:
            command += ["--profiles", profiles]
        polls.append((subprocess.Popen(command, stdout=output), output))
    for process, output in polls:
        process.wait()
        output.close()
    polled = folder / "poll.jsonl"
    polled.write_bytes(b"".join(Path(o.name).read_bytes() for _, o in polls))
    return polled


def _score(tools: Path, corpus: Path, polled: Path) -> dict[str, Any]:
    scores = polled.with_name("scores.json")
    command = [sys.executable, tools / "score.py", polled, corpus / "expected"]
    subprocess.run([*command, "--json", scores], check=True, stdout=subprocess.DEVNULL)
    result: dict[str, Any] = json.loads(scores.read_text())
    return result


def _has_role(row: Mapping[str, Any], classes: Mapping[str, str]) -> bool:
    """Return True if `towpath discover` would give the role of the device's class, by
    its identity alone."""
    given = row.get("identity") or {}
    identity = Identity(
        sys_object_id=given.get("sys_object_id"),
        sys_descr=given.get("sys_descr"),
        hardware=given.get("hardware"),
    )
    answer = SweepAnswer(row["name"], identity=identity)
    return guess_role(answer) in ROLES[classes[row["name"]]]


def _doubtful(row: Mapping[str, Any], corpus: Path) -> list[str]:
    """Return the readings outside `LIKELY`, those that the reference calls implausible,
    and those of another scale than the reference."""
    file = corpus / "expected" / f"{row['name']}.json"
    wanted = {s["oid"]: s for s in json.loads(file.read_text()).get("sensors", ())}
    doubtful = []
    for sensor in row.get("sensors") or ():
        value, reason = sensor.get("value"), None
        if value is None or sensor["class"] == "state":
            continue
        least, most = LIKELY.get(sensor["class"], (float("-inf"), float("inf")))
        reference = wanted.get(sensor["oid"], {})
        if not least <= value <= most:
            reason = "outside the likely range"
        elif reference.get("implausible"):
            reason = "implausible for the reference"
        elif _is_other_scale(sensor, reference):
            reason = f"reference {reference['value']}"
        if reason is not None:
            what = f"{sensor['class']} {sensor['descr']} {sensor['oid']}"
            doubtful.append(f"{what}: {value} {sensor.get('unit')}, {reason}")
    return doubtful


def _is_other_scale(sensor: Mapping[str, Any], reference: Mapping[str, Any]) -> bool:
    if reference.get("class") != sensor["class"] or reference["check"] == "differs":
        return False
    value, expected = sensor["value"], reference["value"]
    if not isinstance(expected, int | float) or not value or not expected:
        return False
    ratio = abs(value / expected)
    same_unit = sensor.get("unit") == reference.get("unit")
    return same_unit and not 1 / _OTHER_SCALE < ratio < _OTHER_SCALE


def _table(
    title: str,
    names: Iterable[str],
    classes: Mapping[str, str],
    scores: Mapping[str, Mapping[str, Mapping[str, int]]],
    wrong: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    """Print and return the shares of items that match, by class."""
    members: dict[str, list[str]] = defaultdict(list)
    for name in names:
        of_council = classes[name] in COUNCIL
        if title == "open":
            members[classes[name] if of_council else "others"].append(name)
        members["council" if of_council else "others"].append(name)
    order = [*COUNCIL, "council", "others"]
    print(f"\n{title:<12}{'n':>5}", *(f"{f:>9}" for f in FIGURES), f"{'doubtful':>9}")
    figures: dict[str, dict[str, float]] = {}
    for group in order:
        devices = set(members.get(group, ()))
        if not devices:
            continue
        row: dict[str, float] = {"devices": len(devices)}
        for figure, sections in FIGURES.items():
            tallies = [
                tally
                for name in devices
                for section in sections
                if (tally := scores.get(name, {}).get(section))
            ]
            expected = sum(tally["expected"] for tally in tallies)
            if expected:
                matched = sum(tally["matched"] for tally in tallies)
                row[figure] = round(100 * matched / expected, 1)
        row["doubtful"] = sum(len(wrong.get(name, ())) for name in devices)
        shown = (f"{row[f]:9.1f}" if f in row else f"{'-':>9}" for f in FIGURES)
        print(f"{group:<12}{len(devices):>5}", *shown, f"{row['doubtful']:>9}")
        figures[group] = row
    return figures


if __name__ == "__main__":
    run(sys.argv[1:])
