"""Asks scapy for the frames that `FrameDecoder` cannot read.

Scapy is GPL-2.0-only, so it runs in a process of its own (the package `capture`), which
is started at the first such frame and exchanges lines of JSON with this one.
"""

from __future__ import annotations

import base64
import importlib.util
import subprocess
import sys
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import msgspec

from collectors.rtp.frame_decoder import Datagram

_MODULE = "capture.dissect"
INSTALL = "pip install 'towpath[capture]' installs scapy, which reads more kinds"


class _Dissected(msgspec.Struct):
    source: str = ""
    target: str = ""
    source_port: int = 0
    target_port: int = 0
    dscp: int = 0
    size: int = 0
    payload: bytes = b""


_decoder = msgspec.json.Decoder(_Dissected)


def has_scapy() -> bool:
    """Whether the extra `capture` is installed; imports nothing."""
    return all(importlib.util.find_spec(name) for name in ("scapy", "capture"))


class FrameDissector:
    """`with FrameDissector() as dissector: dissector.dissect(link, frame)`.

    At most `most_frames` are asked about: scapy takes a hundred times longer than our
    own decoder. `asked`, `answered` and `missing` (why there is none) say what became
    of them.
    """

    def __init__(self, most_frames: int = 20_000) -> None:
        self._most_frames = most_frames
        self._process: subprocess.Popen[bytes] | None = None
        self.asked = self.answered = self.skipped = 0
        self.missing = "" if has_scapy() else INSTALL

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def dissect(self, link: int, frame: bytes) -> Datagram | None:
        """The innermost UDP datagram of a frame, if scapy finds one."""
        if self.missing or self.asked >= self._most_frames:
            self.skipped += 1
            return None
        self.asked += 1
        if self._process is None:
            self._process = subprocess.Popen(
                # Without -P, modules of the folder it is started in would be run.
                [sys.executable, "-P", "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        answer = self._answer(self._process, link, frame)
        if answer is None or not answer.source:
            return None
        try:
            source = ip_address(answer.source).packed
            target = ip_address(answer.target).packed
        except ValueError:
            return None
        self.answered += 1
        ports = answer.source_port, answer.target_port
        return Datagram(
            source, target, *ports, answer.dscp, answer.payload, answer.size
        )

    def _answer(
        self, process: subprocess.Popen[bytes], link: int, frame: bytes
    ) -> _Dissected | None:
        assert process.stdin is not None
        assert process.stdout is not None
        question = {"link": link, "frame": base64.b64encode(frame).decode("ascii")}
        try:
            process.stdin.write(msgspec.json.encode(question) + b"\n")
            process.stdin.flush()
            return _decoder.decode(process.stdout.readline())
        except (OSError, ValueError):
            self.missing = "scapy's process has ended early"
            return None
