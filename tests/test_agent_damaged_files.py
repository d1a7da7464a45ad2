"""What the agent keeps for itself may be damaged in any way: it goes on, says once what
was lost, and keeps the damaged file."""

import contextlib
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_agent_end_to_end import AGENT, environment
from test_agent_spool import Clock, ids, report
from test_agent_status import status
from test_journal_full import may_mount

from probes.agent.enrol import NotEnrolled, check_room, device_id, read_credential
from probes.agent.enrolment_token import read_token
from probes.agent.laptop_support import LaptopSupport
from probes.agent.place import KnownPlaces
from probes.agent.policy_refresh import read_policy
from probes.agent.private_folder import mend_folder
from probes.agent.probe_budget import last_test_ms
from probes.agent.quiet_times import paused_until_ms, write_pause
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import SpoolLimits
from probes.agent.spool import Spool
from probes.agent.stop_orders import StopOrders
from probes.diagnosis.agent_status import read_status, status_file, write_status
from probes.diagnosis.sent_log import SentLog, sendings
from probes.wire.clock import wall_ms
from probes.wire.policy import Policy
from probes.wire.state_file import MAX_BYTES
from probes.wire.support_code import SupportCode

DEEP = b"[" * 100_000
DAMAGE = {
    "empty": b"",
    "cut": b'{"agent": "a1',
    "zeros": bytes(4096),
    "another type": b"[1, 2]",
    "wrong types": b'{"report_s": "x", "agent": 5, "server": 1, "n1": 7, "looks": 1}',
    "UTF-16": '{"agent": "a"}'.encode("utf-16"),
    "Latin-1": b"\xe9",
    "very deep": DEEP,
    "deep in a field": b'{"x": ' + DEEP,
    "huge": b'{"x": "' + b"x" * MAX_BYTES,
    "folder": None,
}


def device_of(folder: Path) -> str:
    return device_id(folder) and ""


def credential_of(folder: Path) -> str:
    with pytest.raises(NotEnrolled, match=r"cannot be used .*enrol again"):
        read_credential(folder)
    return ""


def place_of(folder: Path) -> str:
    return KnownPlaces(folder, b"key").known("n1")


def key_of(folder: Path) -> str:
    return StopOrders(folder, "https://towpath.example").key


def support_of(folder: Path) -> SupportCode:
    connection = ServerConnection("https://towpath.example", None, "", "test")
    return LaptopSupport(folder, connection, wall_ms).current


READERS: dict[str, tuple[Callable[[Path], Any], Any]] = {
    "policy.json": (read_policy, Policy()),
    "places.json": (place_of, ""),
    "device": (device_of, ""),
    "status.json": (read_status, None),
    "credential.json": (credential_of, ""),
    "speed-test": (last_test_ms, 0),
    "stop-orders.json": (key_of, ""),
    "support.json": (support_of, SupportCode()),
}
SET_ASIDE = READERS.keys() - {"credential.json", "speed-test"}


def damage(path: Path, content: bytes | None) -> None:
    if content is None:
        path.mkdir()
        (path / "something").write_text("of another program")
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_stops_nothing_and_is_named_once_and_kept(
    name: str, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(tmp_path / name, DAMAGE[how])
    read, nothing = READERS[name]
    for _ in range(2):
        assert read(tmp_path) == nothing
    if name in SET_ASIDE:
        (line,) = caplog.messages
        assert f"{tmp_path / name} was damaged (" in line
        assert f"is now {name}.damaged; " in line
        assert line.isprintable()
        kept = tmp_path / f"{name}.damaged"
        assert kept.is_dir() if how == "folder" else kept.read_bytes() == DAMAGE[how]
        # A second time, over the first one.
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        (tmp_path / name).unlink(missing_ok=True)
        damage(tmp_path / name, b"{")
        assert read(tmp_path) == nothing
        assert len(caplog.messages) == 2


@given(st.binary(max_size=300))
def test_no_bytes_in_any_file_break_the_agent(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, (read, _) in READERS.items():
            (folder / name).write_bytes(content)
            if name != "credential.json":
                read(folder)
        with contextlib.suppress(NotEnrolled):
            read_credential(folder)
        (folder / "token").write_bytes(content)
        assert "\n" not in read_token(folder / "token")
        (folder / "paused").write_bytes(content)
        assert 0 <= paused_until_ms(folder, 5, 10) <= 10_005
        (folder / "sent.jsonl").write_bytes(content)
        log = SentLog(folder)
        log.append(5, [b'{"id": "a"}'])
        # What is damaged before it does not swallow an entry.
        assert json.loads(log.last(1)[0]) == {"sent_ms": 5, "report": {"id": "a"}}
        assert sendings(log.last(10)) == []


def test_the_folder_stays_the_agents_own_with_damaged_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name in (*READERS, *(f"{name}.damaged" for name in SET_ASIDE)):
        (tmp_path / name).write_bytes(b"")
    assert mend_folder(tmp_path) == ""


def test_what_may_be_intact_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known = device_id(tmp_path)
    places = KnownPlaces(tmp_path, b"key")
    places.remember("n1", "home")
    first, other = "a" * 64, "b" * 64
    StopOrders(tmp_path, "").pin(first)
    real = Path.open

    def failing(path: Path, *more: Any, **named: Any) -> Any:
        if path.name in {"device", "places.json", "stop-orders.json"}:
            raise OSError(5, "Input/output error", str(path))
        return real(path, *more, **named)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "open", failing)
        with pytest.raises(OSError, match="Input/output error"):
            device_id(tmp_path)
        assert [places.known("n1"), places.known("n1")] == ["", ""]
        with pytest.raises(OSError, match="Input/output error"):
            places.remember("n2", "home")
        unread = StopOrders(tmp_path, "")
        unread.pin(other)
        assert unread.key == other
    assert device_id(tmp_path) == known
    assert places.known("n1") == "home"
    assert StopOrders(tmp_path, "").key == first
    unreadable = [line.partition(" cannot be read: ")[0] for line in caplog.messages]
    assert [Path(path).name for path in unreadable] == [
        "places.json",
        "stop-orders.json",
    ]


def test_a_pause_that_cannot_be_understood_is_the_longest(tmp_path: Path) -> None:
    at_ms = 1_700_000_000_000
    assert paused_until_ms(tmp_path, at_ms, 3600) == 0
    (tmp_path / "paused").write_text("soon")
    os.utime(tmp_path / "paused", (at_ms / 1000, at_ms / 1000))
    for later_ms, until_ms in ((1000, at_ms + 3_600_000), (3_600_001, 0)):
        assert paused_until_ms(tmp_path, at_ms + later_ms, 3600) == until_ms
    write_pause(tmp_path, 0)
    assert paused_until_ms(tmp_path, at_ms, 3600) == 0


def test_what_cannot_be_written_is_named_once_until_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    here = tmp_path / "in the way"
    here.write_text("a file")
    file, log = status_file(here), SentLog(here)
    for _ in range(3):
        write_status(file, status())
        log.append(1, [b"{}"])
    assert [line.split()[0] for line in caplog.messages] == [
        "state_file_failed",
        "sent_log_failed",
    ]
    here.unlink()
    write_status(file, status())
    log.append(1, [b"{}"])
    assert read_status(here) == status()
    assert caplog.messages[2:] == [f"state_file_recovered path={file.path}"]
    # A folder in the place of the file is moved aside, not fought with for ever.
    file.path.unlink()
    file.path.mkdir()
    write_status(file, status())
    assert read_status(here) == status()


def test_a_folder_in_the_place_of_the_spool_is_moved_aside(tmp_path: Path) -> None:
    damage(tmp_path / "spool.sqlite", None)
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        assert "a folder is in its place" in spool.lost
        spool.put(report("a"))
        assert (ids(spool), spool.trouble) == (["a"], "")
    assert (tmp_path / "spool.corrupt").is_dir()


@pytest.mark.parametrize(
    "content",
    [b"", bytes(8192), b"SQLite format 3\0" + bytes(84), b"\xff" * 20_000],
    ids=["empty", "zeros", "head", "noise"],
)
def test_a_damaged_spool_is_started_anew_or_empty(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "spool.sqlite").write_bytes(content)
    (tmp_path / "spool.sqlite-journal").write_bytes(content)
    with Spool(tmp_path, SpoolLimits(), Clock()) as spool:
        spool.put(report("a"))
        assert (ids(spool), spool.trouble) == (["a"], "")
        assert bool(spool.lost) is bool(content)


# Commands and their exit codes.


def run(
    folder: Path, *arguments: str, before: str = "", **variables: str
) -> tuple[int, str]:
    """The exit code and standard error; `before` runs in a shell, in a namespace of its
    own, first."""
    command = [*AGENT, *arguments]
    if before:
        script = f'{before}; exec "$@"'
        command = ["unshare", "-m", "sh", "-c", script, "sh", *command]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **environment(),
            "TOWPATH_AGENT_STATE_FOLDER": str(folder),
            "TOWPATH_AGENT_SERVER": "https://127.0.0.1:9",
            **variables,
        },
    )
    return done.returncode, done.stderr


def test_a_damaged_credential_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    folder = tmp_path / "Zoë Müllers Ordner"
    folder.mkdir(mode=0o700)
    (folder / "credential.json").write_bytes(b'{"agent": "a1')
    code, err = run(folder, "run")
    assert code == 2
    (line,) = err.splitlines()
    assert line.startswith(f"ERROR {folder / 'credential.json'} cannot be used (")
    assert line.endswith("run towpath-agent enrol again")


def test_a_command_says_what_is_damaged_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_bytes(b"{")
    code, err = run(tmp_path, "status")
    assert code == 1
    assert err == (
        f"towpath-agent: {tmp_path / 'status.json'} was damaged (Input data was "
        "truncated) and is now status.json.damaged; it is written again\n"
    )


def test_a_second_agent_does_not_even_enrol(tmp_path: Path) -> None:
    token = {"TOWPATH_AGENT_ENROLMENT_TOKEN": "t"}
    with Spool(tmp_path, SpoolLimits(), Clock()):
        code, err = run(tmp_path, "run", **token)
    assert code == 1
    assert err == f"ERROR another towpath-agent runs with {tmp_path / 'spool.sqlite'}\n"
    assert not (tmp_path / "device").exists()


@pytest.mark.netns
def test_a_folder_that_may_only_be_read_or_is_full_is_a_sentence(
    tmp_path: Path,
) -> None:
    if not may_mount(tmp_path):
        pytest.skip("may not mount a file system here (needs root)")
    shutil.copytree(tmp_path, tmp_path / "state")
    small = (
        f"mount -t tmpfs -o size=4k tmpfs {tmp_path} && echo full > {tmp_path}/other"
    )
    code, err = run(tmp_path, "enrol", "--token", "t", before=small)
    assert code == 1
    assert "this laptop cannot save its credential: [Errno 28]" in err
    assert len(err.splitlines()) == 1
    read_only = f"mount -t tmpfs -o ro tmpfs {tmp_path}"
    code, err = run(tmp_path, "enrol", "--token", "t", before=read_only)
    assert code == 1
    assert "Read-only file system" in err
    # An agent that is enrolled measures and reports from memory.
    enrolled = (
        f"mount -t tmpfs tmpfs {tmp_path} && "
        f"""echo '{{"agent": "a1", "secret": "s"}}' > {tmp_path}/credential.json && """
        f"echo {'a' * 32} > {tmp_path}/device && mount -o remount,ro {tmp_path}"
    )
    code, err = run(tmp_path, "run", "--service", before=enrolled)
    assert code == 0, err
    assert ": may this user write there?; the newest 500 reports are kept" in err
    assert "agent_started agent=a1" in err
    assert "Traceback" not in err
    full = enrolled.replace("tmpfs tmpfs", "tmpfs -o size=256k tmpfs").replace(
        "mount -o remount,ro", "head -c 999999 /dev/zero > "
    )
    code, err = run(tmp_path, "run", "--service", before=f"{full}/other")
    assert code == 0, err
    assert ": is the disk full?; the newest 500 reports are kept in memory" in err
    assert "state_file_failed" in err
    assert err.count("spool_failed") == 1
    assert "Traceback" not in err


def test_a_full_disk_is_found_before_a_token_is_used(tmp_path: Path) -> None:
    check_room(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        check_room(tmp_path / "file")
