"""Commands whose state folder is missing or cannot be written: one sentence each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from test_journal_full import may_mount

from towpath.cli import app

SETTINGS = """
council = "Example"
state = "{state}"
estate = "{folder}/estate.toml"
[ingest.https]
plaintext = true
host = "127.0.0.1"
port = 0
[traps]
enabled = false
[web]
port = 0
[metrics]
port = 0
"""
ESTATE = (
    '[[sites]]\nid = "hall"\nname = "Hall"\n[[rooms]]\nid = "one"\nsite = "hall"\n'
    'ports = ["sw 1"]\naccounts = ["r1@x.example"]\n[[devices]]\nid = "sw"\n'
    'site = "hall"\naddress = "192.0.2.1"\npoll = false\n'
)
# Each command that reads settings, with what else it needs. {out} may be written.
ARGUMENTS = {
    "import cqd": ("{out}/cqd.csv",),
    "import rooms": ("{out}/rooms.csv",),
    "clock": (),
    "fleet audit": (),
    "fleet erase": ("aaaaaaaaaaaaaaaa",),
    "fleet expected": ("{out}/devices.csv",),
    "fleet export": ("aaaaaaaaaaaaaaaa", "--out", "{out}/laptop.zip"),
    "fleet list": (),
    "fleet ring": ("aaaaaaaaaaaaaaaa",),
    "fleet rotate-key": ("--yes",),
    "fleet restore": ("aaaaaaaaaaaaaaaa",),
    "fleet revoke": ("aaaaaaaaaaaaaaaa",),
    "fleet order": ("/dev/null",),
    "fleet rings": (),
    "fleet resume": ("--key", "/dev/null"),
    "fleet stop": ("--key", "/dev/null", "--why", "works"),
    "fleet stops": (),
    "fleet team": ("aaaaaaaaaaaaaaaa",),
    "fleet token": ("--site", "hall"),
    "fleet tokens": (),
    "fleet withdraw": ("x",),
    "alerts ack": ("x",),
    "alerts list": (),
    "alerts replay": (),
    "alerts rooms": (),
    "alerts rota": (),
    "alerts silence": ("1h", "--why", "works", "--site", "hall"),
    "alerts silences": (),
    "alerts test": ("none",),
    "alerts token": ("bot",),
    "alerts tokens": (),
    "alerts unsilence": ("1",),
    "alerts withdraw": ("bot",),
    "api token list": (),
    "api token new": ("bot",),
    "api token revoke": ("bot",),
    "baseline accept": ("x",),
    "baseline alert": ("x",),
    "baseline learn": ("x",),
    "baseline list": (),
    "check": (),
    "compare calls": (),
    "maintenance add": ("--for", "1h", "--why", "works", "--site", "hall"),
    "maintenance end": ("1",),
    "maintenance list": (),
    "maintenance stop": ("1",),
    "export": ("interface", "--out", "{out}/rows.csv"),
    "query": ("interface", "--pick", "count:in_bps"),
    "report site": ("--month", "2026-10", "--no-pdf", "--out", "{out}/report"),
    "report send": ("--month", "2026-10"),
    "run": (),
    "topology": (),
    "users add": ("Ada", "engineer"),
    "users list": (),
    "users remove": ("Ada",),
    "users roles": ("Ada", "engineer"),
    "users set-password": ("Ada",),
}
# They need no state, or make a folder of their own.
WITHOUT = {
    "dashboards build",
    "dashboards check",
    "dashboards fields",
    "import netbox",
    "import librenms",
    "import csv",
    "discover",
    "dashboards push",
    "compare librenms",
    "demo",
    "fleet stop-key",
    "poll",
    "profile new",
    "reflector",
    "rtp",
    "rules check",
    "rules export",
    "rules list",
    "rules test",
}
STOPPING = {"order", "resume", "stop", "stops"}
READ_ONLY = "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec "
# Each command in a process of its own, of one that has imported everything already.
EACH = """
import gc, json, os, sys
import collectors.store.parquet_store, dashboards.report, rich.progress, towpath.run
import built_command
from towpath.cli import main

gc.freeze()  # a child does not look through what was imported
for line in json.loads(sys.argv[1]):
    path = os.path.join(sys.argv[2], "ended-" + "-".join(line[:3]).replace("/", "_"))
    child = os.fork()
    if child == 0:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.argv = ["towpath", *line]
        try:
            main()
        except SystemExit as end:  # without freeing all that was imported
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(end.code or 0))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(path, encoding="utf-8") as file:
        print(json.dumps([line, code, file.read()]))
"""


def commands(command: Any, name: str = "") -> Iterator[str]:
    if hasattr(command, "commands"):
        for part, inner in command.commands.items():
            if inner.hidden:
                continue  # an older name of the same commands
            yield from commands(inner, f"{name} {part}".strip())
    else:
        yield name


def test_every_command_is_tried_here() -> None:
    commands_found = set(commands(typer.main.get_command(app)))
    assert commands_found == set(ARGUMENTS) | WITHOUT


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_makes_in_the_state_belongs_to_its_owner() -> None:
    make = (
        "import sys\nfrom pathlib import Path\n"
        "from towpath.commands.shared import ensure_folder\n"
        "ensure_folder(Path(sys.argv[1]), 'x').write_text('')"
    )
    # Not below the folders of root's tests, which are closed to others.
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 12_345, 12_346)
        file = Path(folder) / "keys" / "pseudonym.key"
        call = [sys.executable, "-c", make, str(file)]
        ended = subprocess.run(call, capture_output=True, text=True, timeout=60)
        made = [path.stat() for path in (file.parent, file) if path.exists()]
    # If that user can read this Python; else nothing is made.
    if ended.returncode:
        assert "belongs to another user: run this as that user" in ended.stderr
        assert made == []
    else:
        assert {(stat.st_uid, stat.st_gid) for stat in made} == {(12_345, 12_346)}
        assert made[1].st_mode & 0o777 == 0o600


@pytest.mark.parametrize("state", ["missing", "below a file", "read-only"])
def test_no_command_ends_in_a_traceback(state: str, tmp_path: Path) -> None:
    out, read_only = tmp_path / "out", tmp_path / "read-only"
    out.mkdir()
    read_only.mkdir()
    (tmp_path / "file").write_text("no folder\n")
    (out / "cqd.csv").write_text(
        "Building Name,Date,Audio Good Stream Count,Audio Poor Stream Count\n"
        "Hall,2026-10-01,900,10\n"
    )
    (out / "rooms.csv").write_text("Username,Health status\nr1@x.example,Healthy\n")
    (out / "devices.csv").write_text("Serial number\nPF3ABCDE\n")
    (tmp_path / "estate.toml").write_text(ESTATE)
    path = {
        "missing": tmp_path / "none" / "state",
        "below a file": tmp_path / "file" / "state",
        "read-only": read_only / "state",
    }[state]
    settings = tmp_path / "towpath.toml"
    settings.write_text(SETTINGS.format(state=path, folder=tmp_path))
    lines = [
        [*command.split(), "-c", str(settings), *(w.format(out=out) for w in words)]
        for command, words in ARGUMENTS.items()
        if (command, state) != ("run", "missing")  # it makes the folder, and runs
    ]
    call = [sys.executable, "-c", EACH, json.dumps(lines), str(out)]
    if state == "read-only":
        if not may_mount(read_only):
            pytest.skip("may not mount a file system here (needs root)")
        call = ["unshare", "-m", "sh", "-c", READ_ONLY.format(read_only) + '"$@"', "sh"]
        call += [sys.executable, "-c", EACH, json.dumps(lines), str(out)]
    # For `built_command`.
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    ended = subprocess.run(
        call, capture_output=True, text=True, timeout=110, check=True, env=env
    )
    results = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(results) == len(lines), ended.stderr
    for line, code, said in results:
        assert "Traceback" not in said, (line, said)
        assert code in (0, 1, 2), (line, said)
        last = said.strip().splitlines()[-1] if said.strip() else ""
        assert "Errno" not in last, (line, said)
        if code:
            assert last, f"{line} failed without a word"
        if state != "missing" and line[0] in ("fleet", "run"):
            if line[1] in STOPPING:
                # They need a key or an order first.
                continue
            assert code == 1
            assert str(path) in said
