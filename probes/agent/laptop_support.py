"""`LaptopSupport`: gets a support code from the council's server when the person asks
for one, and who has looked."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from probes.agent.enrol import read_credential
from probes.agent.laptop_requests import LaptopAnswer
from probes.agent.publish_https import error_of
from probes.agent.report_delivery import CredentialRefused, Later
from probes.agent.server_connection import ServerConnection
from probes.agent.settings import Settings
from probes.diagnosis.support_text import support_lines
from probes.wire.clock import WallClock, wall_ms
from probes.wire.state_file import StateFile
from probes.wire.support_code import PATH, SupportCode

FILE = "support.json"
# While a code is good, its person soon sees who has looked.
WATCHED_EVERY_S = 300.0
# The server keeps so long who has looked.
_WATCHED_MS = 30 * 86_400_000


class LaptopSupport:
    """`current` is the last code, and who has looked."""

    def __init__(
        self, folder: Path, connection: ServerConnection, now_ms: WallClock
    ) -> None:
        self._file = StateFile(folder / FILE, "a new support code can be asked for")
        self._connection, self._now_ms = connection, now_ms
        self.current = self._file.read(_decode, SupportCode())
        self._answer: LaptopAnswer | None = None
        self.is_wanted = False

    def answer_or_ask(self) -> LaptopAnswer | None:
        """What became of the last request, once; without one, None, and the next
        `refresh` gets a new code."""
        answer, self._answer = self._answer, None
        self.is_wanted = answer is None
        return answer

    async def refresh(self) -> float | None:
        """Asks the server, if there is a reason to. Returns in how many seconds to ask
        again. Server errors never raise."""
        wanted, now_ms = self.is_wanted, self._now_ms()
        if not wanted and now_ms - self.current.until_ms > _WATCHED_MS:
            return None
        try:
            support = await self._fetch("POST" if wanted else "GET")
        except (Later, CredentialRefused) as error:
            if wanted:
                self.is_wanted = False
                self._answer = LaptopAnswer(False, f"there is no support code: {error}")
            return None
        if not support.code and support.until_ms == self.current.until_ms:
            support = msgspec.structs.replace(support, code=self.current.code)
        if support != self.current:
            self.current = support
            self._file.write(msgspec.json.encode(support))
        if wanted:
            self.is_wanted = False
            text = "\n".join(support_lines(support, now_ms))
            self._answer = LaptopAnswer(bool(support.code), text)
        return WATCHED_EVERY_S if now_ms < support.until_ms else None

    async def _fetch(self, method: str) -> SupportCode:
        response = await self._connection.request(method, PATH)
        if response.status == 404:
            raise Later("your council's server does not give any yet")
        if response.status != 200:
            raise error_of(response, time.time())
        try:
            return _decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Later("the server's answer cannot be read") from None


async def code_now(settings: Settings, software: str) -> LaptopAnswer:
    """A new code for a laptop whose agent belongs to its user. Raises
    `NotEnrolled`."""
    folder = settings.folder()
    credential = read_credential(folder)
    connection = ServerConnection(
        settings.server, credential, settings.ca_file, software
    )
    async with connection:
        support = LaptopSupport(folder, connection, wall_ms)
        support.is_wanted = True
        await support.refresh()
        return support.answer_or_ask() or LaptopAnswer(
            False, "the server did not answer"
        )


def _decode(content: bytes) -> SupportCode:
    return msgspec.json.decode(content, type=SupportCode)
