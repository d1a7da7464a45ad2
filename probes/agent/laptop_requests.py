"""What a person at the laptop asks of an agent that runs as a service of the system: a
pause, its end, what the present network is, and a support code.

The service's state is private, so a request is a small file in a folder where everybody
at the laptop may create files (`shared_folder`). The service checks it, acts, deletes
it and writes the answer into the folder that everybody may read. Anything else in the
folder of requests is deleted and counted. If the agent belongs to the person, the
command acts at once, by the same functions.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from probes.agent.enrol import device_id
from probes.agent.place import KnownPlaces, Locator
from probes.agent.quiet_times import write_pause
from probes.agent.settings import REQUESTS, SHOWN
from probes.diagnosis.local_time import local_time_text
from probes.wire.atomic_file import replace_file

_log = logging.getLogger(__name__)

ANSWERS = "answers.json"
# Everybody may read it; only the service writes it.
FOR_ALL = 0o644
MAX_BYTES, MAX_AT_ONCE, MAX_SEEN, MAX_ANSWERS = 400, 10, 200, 20
# A request that is being written has this long to get its name.
_WRITING_S = 60.0
_NAME = re.compile(r"[0-9a-f]{32}\.json")
_PART = re.compile(r"[0-9a-f]{32}\.json\.new")
# O_NOFOLLOW and O_NONBLOCK: neither another file nor a pipe without a writer.
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class LaptopRequest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """`seconds` is for a pause, `word` for a place; an empty one forgets it."""

    ask: Literal["pause", "resume", "place", "support-code"]
    seconds: Annotated[float, msgspec.Meta(gt=0, le=366 * 86_400)] = 3600
    word: Literal["home", "elsewhere", ""] = ""


class LaptopAnswer(msgspec.Struct, frozen=True):
    """Whether it was done, and the sentence for the person."""

    done: bool
    text: str


def act_on(
    request: LaptopRequest, folder: Path, longest_pause_s: int, now_ms: int
) -> LaptopAnswer:
    """Does what is asked in the agent's state folder."""
    if request.ask == "support-code":
        return LaptopAnswer(False, "this agent has no server that gives support codes")
    if request.ask == "pause":
        return _pause(request.seconds, folder, longest_pause_s, now_ms)
    if request.ask == "resume":
        try:
            write_pause(folder, 0)
        except OSError as error:
            return LaptopAnswer(False, f"the pause cannot be ended: {error}")
        return LaptopAnswer(True, "The agent measures again.")
    try:
        places = KnownPlaces(folder, device_id(folder).encode())
        recorded = Locator(places).set_place(request.word)
    except OSError as error:
        return LaptopAnswer(False, f"that cannot be saved: {error}")
    if not recorded:
        return LaptopAnswer(
            False, "this network has no gateway, so it cannot be recognised again"
        )
    return LaptopAnswer(True, "Saved." if request.word else "Forgotten.")


def _pause(seconds: float, folder: Path, longest_s: int, now_ms: int) -> LaptopAnswer:
    if not longest_s:
        return LaptopAnswer(False, "your council's policy does not allow a pause")
    until_ms = now_ms + int(min(seconds, longest_s) * 1000)
    try:
        write_pause(folder, until_ms)
    except OSError as error:
        return LaptopAnswer(False, f"the pause cannot be saved: {error}")
    limit = " (the longest your council allows)" if seconds > longest_s else ""
    return LaptopAnswer(
        True,
        f"Nothing is measured until {local_time_text(until_ms)}{limit}. "
        "To end the pause: towpath-agent resume.",
    )


def hand_in(
    shared: Path,
    request: LaptopRequest,
    wait_s: float = 40.0,
    sleep: Callable[[float], None] = time.sleep,
) -> LaptopAnswer:
    """Hands a request to the service and returns its answer."""
    name = f"{secrets.token_hex(16)}.json"
    path = shared / REQUESTS / name
    if not path.parent.is_dir():
        return LaptopAnswer(
            False,
            f"the agent's service has not run on this laptop yet: no {path.parent}",
        )
    try:
        replace_file(path, msgspec.json.encode(request), durable=False, mode=FOR_ALL)
    except OSError as error:
        return LaptopAnswer(False, f"the request cannot be written: {error}")
    waited_s = 0.0
    while waited_s < wait_s:
        answer = _answers(shared).get(path.stem)
        if answer is not None:
            return answer
        sleep(0.25)
        waited_s += 0.25
    with contextlib.suppress(OSError):
        path.unlink()
        return LaptopAnswer(
            False,
            "the agent's service did not answer: towpath-agent status says if it runs",
        )
    # Taken just now; the answer may not be written yet.
    sleep(0.5)
    late = LaptopAnswer(
        False, "the agent's service took the request, without an answer"
    )
    return _answers(shared).get(path.stem, late)


def _answers(shared: Path) -> dict[str, LaptopAnswer]:
    try:
        return msgspec.json.decode(
            (shared / SHOWN / ANSWERS).read_bytes(), type=dict[str, LaptopAnswer]
        )
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


class RequestDesk:
    """The service's side: `serve()` acts on what has been handed in. `act` returns None
    if the answer comes later: it is then asked again."""

    def __init__(
        self,
        shared: Path,
        act: Callable[[LaptopRequest], LaptopAnswer | None],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._shared, self._act, self._now_s = shared, act, now_s
        self._folder = shared / REQUESTS
        self._answers = _answers(shared)
        self._dropping = self._unreadable = False
        self.dropped = 0

    def serve(self) -> int:
        """Acts on the oldest requests, at most ten, and returns how many there were.
        Raises nothing."""
        try:
            with os.scandir(self._folder) as entries:
                seen = list(itertools.islice(entries, MAX_SEEN))
            self._unreadable = False
        except OSError as error:
            if not self._unreadable:
                _log.warning("requests_not_read error=%s", error)
            self._unreadable = True
            return 0
        before, waiting = self.dropped, []
        for entry in seen:
            changed_s = self._changed_s(entry)
            if changed_s is not None:
                waiting.append((changed_s, entry))
        waiting.sort(key=lambda pair: (pair[0], pair[1].name))
        for _, entry in waiting[:MAX_AT_ONCE]:
            self._serve_one(Path(entry.path))
        if self.dropped > before and not self._dropping:
            _log.warning("requests_dropped count=%d", self.dropped - before)
        self._dropping = self.dropped > before
        return min(len(waiting), MAX_AT_ONCE)

    def _changed_s(self, entry: os.DirEntry[str]) -> float | None:
        """When the request was written; None, and deleted, if it is none."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return None
        if stat.S_ISREG(status.st_mode):
            age_s = self._now_s() - status.st_mtime
            if _PART.fullmatch(entry.name) and abs(age_s) < _WRITING_S:
                return None
            if _NAME.fullmatch(entry.name):
                return status.st_mtime
        self._drop(Path(entry.path))
        return None

    def _serve_one(self, path: Path) -> None:
        if path.stem in self._answers:
            # Answered before, but its writer held it open.
            self._delete(path)
            return
        request = read_request(path)
        if request is None:
            self._drop(path)
            return
        answer = self._act(request)
        if answer is None:
            # It is looked at again, once the server has answered.
            return
        _log.info("request_served ask=%s done=%d", request.ask, answer.done)
        self._answers[path.stem] = answer
        self._answers = dict(list(self._answers.items())[-MAX_ANSWERS:])
        with contextlib.suppress(OSError):
            replace_file(
                self._shared / SHOWN / ANSWERS,
                msgspec.json.encode(self._answers),
                durable=False,
                mode=FOR_ALL,
            )
        self._delete(path)

    def _drop(self, path: Path) -> None:
        self.dropped += 1
        self._delete(path)

    def _delete(self, path: Path) -> None:
        # A folder with files of another user stays; it is looked at again, no more.
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()


def read_request(path: Path) -> LaptopRequest | None:
    """The request in a file that any user may have written; None if it is none."""
    try:
        handle = os.open(path, _OPEN)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            content = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    return parse_request(content)


def parse_request(content: bytes) -> LaptopRequest | None:
    """Pure."""
    if len(content) > MAX_BYTES:
        return None
    try:
        return msgspec.json.decode(content, type=LaptopRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def open_to_people(shared: Path) -> None:
    """Makes the folders of a service: everybody reads one, and creates files in the
    other, of which each person reads only their own. Raises `OSError`."""
    for name, mode in {"": 0o755, SHOWN: 0o755, REQUESTS: 0o1733}.items():
        folder = shared / name
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":
            from probes.platforms.private_access import open_folder

            # What is above has the access list that the installer gave it.
            if name:
                open_folder(folder, may_create=name == REQUESTS)
        elif stat.S_IMODE(folder.stat().st_mode) != mode:
            folder.chmod(mode)
