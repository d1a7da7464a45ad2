"""The agent's log, its events on Windows, and files that other programs hold open."""

import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from probes.agent.agent_log import NAME, LogFile, event_of, start_log
from probes.agent.private_folder import in_profile
from probes.platforms import event_log
from probes.wire.held_files import is_held, read_held, while_held


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_on_windows_the_log_is_a_file_in_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "Zoë Müller" / "towpath-agent"
    start_log(folder, "win32")
    logging.getLogger("probes").info("network_changed name=%s", "Tŷ Mawr")
    logging.getLogger("asyncio").info("a library's own line")
    assert (
        (folder / NAME)
        .read_text("utf-8")
        .endswith("INFO network_changed name=Tŷ Mawr\n")
    )


def test_elsewhere_the_system_keeps_standard_error(tmp_path: Path) -> None:
    start_log(tmp_path, "linux")
    logging.getLogger("probes").info("network_changed")
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_cannot_be_written_is_said_and_the_agent_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    start_log(tmp_path / "file" / "folder", "win32")
    say = logging.getLogger("probes").info
    say("network_changed")
    say("network_changed")
    said = capsys.readouterr().err
    assert said.count("log_failed error=") == 1
    assert said.count("INFO network_changed") == 2
    # What held the file at the start, such as a scanner, is gone.
    (tmp_path / "file").unlink()
    (tmp_path / "file" / "folder").mkdir(parents=True)
    say("network_changed")
    lines = (tmp_path / "file" / "folder" / NAME).read_text("utf-8").splitlines()
    assert [line.split()[3] for line in lines] == ["network_changed", "log_recovered"]


def test_a_full_disk_is_said_elsewhere_and_the_log_goes_on_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / NAME).symlink_to("/dev/full")
    log = LogFile(tmp_path / NAME)
    # Not to /dev/full itself, which cannot be renamed.
    log.maxBytes = 0
    root = logging.getLogger()
    root.addHandler(log)
    root.setLevel(logging.INFO)
    say = logging.getLogger("probes").info
    for number in range(3):
        say("line %d", number)
    assert log.lost == 4
    (line,) = (line for line in caplog.messages if "log_failed" in line)
    assert line.endswith("cannot be written: [Errno 28] No space left on device")
    (tmp_path / NAME).unlink()
    say("line 3")
    say("line 4")
    log.close()
    # The error itself did not fit either.
    assert (tmp_path / NAME).read_text() == ("line 3\nlog_recovered lost=4\nline 4\n")
    assert capfd.readouterr().err == ""


def test_a_log_file_that_is_held_open_grows_and_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogFile(tmp_path / NAME, 400)

    def write(first: int, last: int) -> None:
        for number in range(first, last):
            log.emit(logging.makeLogRecord({"msg": f"line {number:03}"}))

    with monkeypatch.context() as held:

        def refuse(self: Path, target: object) -> Path:
            raise PermissionError(13, "held by a scanner")

        held.setattr(Path, "replace", refuse)
        write(0, 60)
    assert list(tmp_path.iterdir()) == [tmp_path / NAME]
    write(60, 70)
    log.close()
    lines = "".join(
        path.read_text("utf-8") for path in sorted(tmp_path.iterdir(), reverse=True)
    ).splitlines()
    assert lines == [f"line {number:03}" for number in range(70)]


@pytest.mark.parametrize(
    ("level", "text", "kind"),
    [
        (logging.INFO, "agent_started agent=a server=s", event_log.INFORMATION),
        (logging.INFO, "agent_stopped waiting=0", event_log.INFORMATION),
        (logging.ERROR, "there is no server to report to", event_log.ERROR),
        (logging.WARNING, "delivery_failed error=…", None),
        (logging.INFO, "network_changed", None),
    ],
)
def test_starts_stops_and_errors_are_events(
    level: int, text: str, kind: int | None
) -> None:
    event = event_of(logging.makeLogRecord({"levelno": level, "msg": text}))
    assert event is None if kind is None else event is not None
    if event is not None:
        assert (event[0], event[2]) == (kind, text)


def held(number: int) -> OSError:
    error = PermissionError(13, "another program has it")
    error.winerror = number  # type: ignore[attr-defined,unused-ignore]
    return error


@pytest.mark.parametrize("number", [5, 32, 33])
def test_a_file_that_a_scanner_holds_is_tried_again(number: int) -> None:
    waits: list[float] = []
    failures = [held(number)] * 3

    def action() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert while_held(action, waits.append) == "done"
    assert len(waits) == 3
    failures[:] = [held(number)] * 99
    with pytest.raises(PermissionError):
        while_held(action, waits.append)
    assert 1 < sum(waits[3:]) < 2


def test_a_file_that_another_program_has_open_is_read_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "device"
    path.write_bytes(b"known")
    waits: list[float] = []
    failures = [held(32)] * 3
    real = Path.open

    def opened(self: Path, mode: str) -> IO[bytes]:
        if failures:
            raise failures.pop()
        return real(self, "rb")

    monkeypatch.setattr(Path, "open", opened)
    assert read_held(path, 3, waits.append) == b"kno"
    assert len(waits) == 3
    # As Python words it for a file that cannot be opened.
    unnamed = PermissionError(errno.EACCES, "Permission denied")
    assert is_held(unnamed, {32}, "win32")
    assert not is_held(unnamed, {32}, "linux")
    with pytest.raises(IsADirectoryError):
        read_held(tmp_path, sleep=waits.append)
    assert len(waits) == 3


def test_what_waiting_does_not_change_is_raised_at_once() -> None:
    waits: list[float] = []

    def action() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        while_held(action, waits.append)
    assert not waits


def test_a_folder_outside_the_profile_needs_an_access_list_of_its_own() -> None:
    environment = {"USERPROFILE": r"C:\Users\Zoë Müller"}
    local = r"c:\users\zoë müller\AppData\Local\towpath-agent"
    assert in_profile(Path(local), environment)
    assert not in_profile(Path(r"C:\ProgramData\towpath-agent"), environment)
    assert not in_profile(Path(r"C:\Users\Zoë Müller-Old\x"), environment)
    assert not in_profile(Path(local), {})
