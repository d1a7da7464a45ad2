"""A service shows people its state and takes their requests."""

import asyncio
import json
import os
import stat
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_agent_loop import Laptop
from waiting import until

from probes.agent.agent_cli import main
from probes.agent.laptop_requests import (
    MAX_AT_ONCE,
    MAX_BYTES,
    LaptopAnswer,
    LaptopRequest,
    RequestDesk,
    act_on,
    hand_in,
    open_to_people,
    parse_request,
)
from probes.agent.quiet_times import paused_until_ms
from probes.agent.service_input import watch_input
from probes.agent.settings_layers import log_folder
from probes.platforms.system_facts import ManagedSettings
from probes.wire.policy import Policy

NAME = "0123456789abcdef" * 2
PAUSE = b'{"ask":"pause","seconds":60}'


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    open_to_people(tmp_path / "shared")
    return tmp_path / "shared"


def desk(shared: Path, **more: object) -> tuple[RequestDesk, list[LaptopRequest]]:
    asked: list[LaptopRequest] = []

    def act(request: LaptopRequest) -> LaptopAnswer:
        asked.append(request)
        return LaptopAnswer(True, f"Done: {request.ask}.")

    return RequestDesk(shared, act, **more), asked  # type: ignore[arg-type]


def mode(path: Path, expected: int) -> int:
    """The mode of `path`. On Windows it has no meaning: there it is as expected."""
    if sys.platform == "win32":
        return expected
    return stat.S_IMODE(path.stat().st_mode)


def put(shared: Path, content: bytes, name: str = f"{NAME}.json") -> Path:
    path = shared / "requests" / name
    path.write_bytes(content)
    return path


def test_people_read_what_is_shown_and_only_hand_in_requests(shared: Path) -> None:
    assert mode(shared / "shown", 0o755) == 0o755
    assert mode(shared / "requests", 0o1733) == 0o1733
    (shared / "shown").chmod(0o777)
    open_to_people(shared)
    assert mode(shared / "shown", 0o755) == 0o755


def test_a_request_is_answered_and_gone(shared: Path) -> None:
    service, asked = desk(shared)
    answer = hand_in(
        shared,
        LaptopRequest("pause", seconds=60),
        sleep=lambda _s: bool(service.serve()),
    )
    assert answer == LaptopAnswer(True, "Done: pause.")
    assert asked == [LaptopRequest("pause", seconds=60)]
    assert list((shared / "requests").iterdir()) == []
    assert mode(shared / "shown" / "answers.json", 0o644) == 0o644


def test_requests_are_served_in_the_order_they_were_made(shared: Path) -> None:
    service, asked = desk(shared)
    for number, ask in enumerate(("pause", "resume", "pause")):
        path = put(shared, json.dumps({"ask": ask}).encode(), f"{number:032x}.json")
        os.utime(path, (1_000 - number, 1_000 - number))
    assert service.serve() == 3
    assert [request.ask for request in asked] == ["pause", "resume", "pause"][::-1]


def test_a_service_that_does_not_answer_is_named(shared: Path, tmp_path: Path) -> None:
    silent = hand_in(shared, LaptopRequest("resume"), wait_s=1, sleep=lambda _s: None)
    assert not silent.done
    assert "the agent's service did not answer" in silent.text
    assert list((shared / "requests").iterdir()) == []
    never = hand_in(tmp_path / "none", LaptopRequest("resume"))
    assert "has not run on this laptop yet" in never.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 300,
        b'{"ask":"uninstall"}',
        b'{"ask":"pause","seconds":-1}',
        b'{"ask":"pause","seconds":1e300}',
        b'{"ask":"pause","seconds":NaN}',
        b'{"ask":"place","word":"office:hall"}',
        b'{"ask":"pause","more":1}',
        PAUSE + b" " * MAX_BYTES,
    ],
)
def test_what_is_no_request_is_dropped_and_logged_once(
    shared: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    service, asked = desk(shared)
    for _ in range(3):
        put(shared, content)
        assert service.serve() == 1
    assert (asked, service.dropped) == ([], 3)
    assert [record.getMessage() for record in caplog.records] == [
        "requests_dropped count=1"
    ]
    assert list((shared / "requests").iterdir()) == []


def test_neither_links_nor_pipes_nor_folders_are_followed(
    shared: Path, tmp_path: Path
) -> None:
    service, asked = desk(shared)
    (tmp_path / "private").write_bytes(PAUSE)
    folder = shared / "requests"
    (folder / f"{NAME}.json").symlink_to(tmp_path / "private")
    if sys.platform != "win32":
        os.mkfifo(folder / f"{NAME[::-1]}.json")
    (folder / "folder").mkdir()
    full = folder / "full"
    full.mkdir()
    (full / "file").touch()
    (folder / "notes.txt").touch()
    service.serve()
    assert asked == []
    assert [path.name for path in folder.iterdir()] == ["full"]
    assert (tmp_path / "private").read_bytes() == PAUSE


def test_a_request_that_is_being_written_is_left_for_a_minute(shared: Path) -> None:
    now_s = time.time()
    service, _ = desk(shared, now_s=lambda: now_s)
    path = put(shared, b'{"ask":', f"{NAME}.json.new")
    service.serve()
    assert path.exists()
    for changed_s in (now_s - 61, now_s + 61):
        os.utime(path, (changed_s, changed_s))
        service.serve()
        assert not path.exists()
        path.touch()


def test_a_flood_is_served_a_little_at_a_time(shared: Path) -> None:
    service, asked = desk(shared)
    for number in range(300):
        put(shared, PAUSE, f"{number:032x}.json")
    assert service.serve() == MAX_AT_ONCE
    assert len(asked) == MAX_AT_ONCE
    answers = json.loads((shared / "shown" / "answers.json").read_text())
    assert len(answers) == MAX_AT_ONCE
    assert service.dropped == 0


def test_one_request_is_acted_on_once_even_if_its_file_stays(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, asked = desk(shared)
    path = put(shared, PAUSE)
    with monkeypatch.context() as held:
        held.setattr(RequestDesk, "_delete", lambda *_: None)
        service.serve()
        service.serve()
    assert path.exists()
    # And not again after a restart of the service.
    again, more = desk(shared)
    again.serve()
    assert (len(asked), more, path.exists()) == (1, [], False)


@given(st.binary(max_size=MAX_BYTES + 10))
def test_nothing_that_anybody_writes_raises(content: bytes) -> None:
    request = parse_request(content)
    assert request is None or isinstance(request, LaptopRequest)


def test_a_pause_is_at_most_as_long_as_the_council_allows(tmp_path: Path) -> None:
    now_ms = 1_700_000_000_000
    request = LaptopRequest("pause", seconds=7200)
    answer = act_on(request, tmp_path, 3600, now_ms)
    assert answer.done
    assert "(the longest your council allows)" in answer.text
    assert paused_until_ms(tmp_path, now_ms, 86_400) == now_ms + 3_600_000
    assert not act_on(request, tmp_path, 0, now_ms).done
    assert act_on(LaptopRequest("resume"), tmp_path, 3600, now_ms).done
    assert paused_until_ms(tmp_path, now_ms, 86_400) == 0


async def test_a_service_shows_its_state_and_pauses_when_a_person_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "shared"
    open_to_people(shared)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    laptop = Laptop(state, Policy(longest_pause_s=3600))
    monkeypatch.setenv("TOWPATH_AGENT_SHARED_FOLDER", str(shared))
    # The state is the service's: a person's command never looks there.
    monkeypatch.setenv("TOWPATH_AGENT_STATE_FOLDER", str(tmp_path / "not mine"))
    async with laptop.running(shared_folder=str(shared)):
        shown = shared / "shown" / "status.json"
        await until(shown.exists)
        assert mode(shown, 0o644) == 0o644
        assert await asyncio.to_thread(main, ["pause", "2h"]) == 0
        assert (state / "paused").is_file()
        await asyncio.to_thread(main, ["status"])
    printed = capsys.readouterr().out
    assert "Nothing is measured until" in printed
    assert "Nothing is measured: paused until" in printed
    assert not (state / "status.json").exists()


async def test_the_end_of_input_stops_a_service_and_a_line_says_it_has_woken() -> None:
    stop, woken = asyncio.Event(), asyncio.Event()
    parts = [b"resu", b"med\r\n", b"other\n"]
    ended = threading.Event()

    def read() -> bytes:
        if parts:
            return parts.pop(0)
        ended.wait(10)
        return b""

    watch_input(stop, woken, read)
    await asyncio.wait_for(woken.wait(), 10)
    assert not stop.is_set()
    ended.set()
    await asyncio.wait_for(stop.wait(), 10)


def test_why_a_service_cannot_start_is_in_its_own_log() -> None:
    installed = ManagedSettings(r"HKLM\Software", {"state_folder": "/private"}, False)
    policy = ManagedSettings("policy", {"state_folder": 7}, True)
    assert log_folder([installed, policy]) == Path("/private")
    assert log_folder([]) == log_folder([policy])
