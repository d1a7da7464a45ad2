"""`ReportDispatch`: sends the report of `[report.schedule]` by e-mail when it is due.

What was sent to whom is in a file that is replaced after each attempt, before anything
else is done: a restart neither forgets a report nor sends it again. If the process dies
while the mail server accepts it, the report is sent again, as the same message
(Message-ID), as pages are. Reports that were due while nothing ran are made up, oldest
first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import msgspec
import structlog

from alerts.notify.channel_settings import ChannelSettings
from alerts.notify.delivery import backoff_s
from alerts.notify.delivery_result import DeliveryRefused, MessageTooLarge, RetryLater
from alerts.notify.email import Email, EmailConfig, ServerAnswer, refusal_text
from collectors.background_tasks import BackgroundTasks
from dashboards.report.make_report import ReportFiles
from dashboards.report.month import ReportPeriod
from dashboards.report.report_due import DueReport, next_due
from dashboards.report.report_mail import compose_report_mail
from dashboards.report_config import ReportSchedule
from probes.wire.atomic_file import replace_file
from probes.wire.clock import WallClock, wall_ms

_log = structlog.get_logger()
MakeReport = Callable[[ReportPeriod], Awaitable[ReportFiles]]
_LOOK_S = 60.0
# A mailbox that is refused today may be corrected tomorrow.
_REFUSED_WAIT_MS = 6 * 3_600_000
_GIVE_UP_MS = 3 * 86_400_000


def report_channel(
    channels: Mapping[str, ChannelSettings], schedule: ReportSchedule
) -> Email:
    """Returns the channel that a report is sent by. Raises `ValueError` if it is no
    e-mail."""
    settings = channels.get(schedule.channel)
    if not isinstance(settings, EmailConfig):
        raise ValueError(f"{schedule.channel!r} is no channel of kind email")
    return Email(settings)


async def send_report(
    email: Email,
    made: ReportFiles,
    recipients: Sequence[str],
    pending: Sequence[str],
    now_ms: int,
    base_url: str,
) -> dict[str, ServerAnswer]:
    """Sends the mail for `recipients` to those who are `pending`; without the files if
    the mail server takes none as large. Returns and raises as `Email.send`."""
    if not pending:
        return {}
    facts = made, email.sender, recipients, now_ms, base_url
    message = await asyncio.to_thread(compose_report_mail, *facts)
    try:
        return await email.send(message, pending)
    except MessageTooLarge:
        message = await asyncio.to_thread(compose_report_mail, *facts, 0)
        return await email.send(message, pending)


def refusals_text(email: Email, refused: Mapping[str, ServerAnswer]) -> str:
    """Returns which recipients the mail server refused, and its answers."""
    reasons = (refusal_text(to, answer) for to, answer in refused.items())
    return f"{email.where}: {'; '.join(reasons)}"


class DispatchState(msgspec.Struct):
    """`done_ms`: when the last report that is done with was due. `sent`: who has the
    next one, which was first tried at `began_ms`. `error`: why others have not;
    `given_up`: why they never got the last."""

    done_ms: int
    began_ms: int = 0
    sent: list[str] = []
    tries: int = 0
    next_ms: int = 0
    error: str = ""
    given_up: str = ""


class ReportDispatch:
    """`async with ReportDispatch(schedule, zone, email, make, state)`."""

    def __init__(
        self,
        schedule: ReportSchedule,
        zone: ZoneInfo,
        email: Email,
        make: MakeReport,
        state: Path,
        base_url: str = "",
        now_ms: WallClock = wall_ms,
    ) -> None:
        self._schedule, self._zone, self._email = schedule, zone, email
        self.make, self._path = make, state
        self._base_url, self._now_ms = base_url, now_ms
        self._made: tuple[int, ReportFiles] | None = None
        self._tasks = BackgroundTasks()
        self.state = DispatchState(0)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.load)
        self._tasks.start(self._run(), "report dispatch")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def problem(self) -> str:
        """Returns a sentence about what was not sent; empty if all was."""
        error, given_up = self.state.error, self.state.given_up
        if error:
            return f"A report has not been sent to all its addresses: {error}."
        if given_up:
            return f"The last report did not reach all its addresses: {given_up}."
        return ""

    def load(self) -> None:
        """Reads the state. Without one nothing that was due earlier is sent."""
        try:
            content = self._path.read_bytes()
            self.state = msgspec.json.decode(content, type=DispatchState)
        except FileNotFoundError:
            self.state = DispatchState(self._now_ms())
            self._save()
        except ValueError as error:
            raise ValueError(
                f"{self._path}: cannot be read ({error}); delete it, and reports that "
                "are due from now on are sent"
            ) from None

    async def _run(self) -> None:
        while True:
            await self.step()
            await asyncio.sleep(_LOOK_S)

    async def step(self) -> bool:
        """Makes one attempt if a report is due. Returns whether one was made."""
        due = next_due(self._schedule, self._zone, self.state.done_ms)
        now_ms = self._now_ms()
        if now_ms < max(due.due_ms, self.state.next_ms):
            return False
        self.state.began_ms = self.state.began_ms or now_ms
        failures, wait_ms = await self._attempt(due)
        if not failures:
            self._finish(due, "")
        elif now_ms - self.state.began_ms > _GIVE_UP_MS:
            self._finish(due, failures)
        else:
            if failures != self.state.error:
                _log.error("report_not_sent", report=str(due.period), error=failures)
            self.state.error = failures
            self.state.tries += 1
            self.state.next_ms = self._now_ms() + wait_ms
        await asyncio.to_thread(self._save)
        return True

    async def _attempt(self, due: DueReport) -> tuple[str, int]:
        """Sends it to the recipients who have not got it. Returns what failed, and how
        long to wait before the next attempt."""
        wait_ms = round(backoff_s(self.state.tries, str(due.period)) * 1000)
        try:
            if self._made is None or self._made[0] != due.due_ms:
                self._made = due.due_ms, await self.make(due.period)
            made = self._made[1]
            pending = [to for to in self._schedule.to if to not in self.state.sent]
            refused = await send_report(
                self._email,
                made,
                self._schedule.to,
                pending,
                self._now_ms(),
                self._base_url,
            )
        except RetryLater as error:
            return str(error), wait_ms
        except DeliveryRefused as error:
            return str(error), _REFUSED_WAIT_MS
        except Exception as error:  # noqa: BLE001 - tried again, and told
            self._made = None
            return str(error) or repr(error), wait_ms
        self.state.sent += [to for to in pending if to not in refused]
        if not refused:
            return "", 0
        is_final = all(code >= 500 for code, _ in refused.values())
        return refusals_text(self._email, refused), (
            _REFUSED_WAIT_MS if is_final else wait_ms
        )

    def _finish(self, due: DueReport, failures: str) -> None:
        if failures:
            _log.error("report_given_up", report=str(due.period), error=failures)
        else:
            _log.info("report_sent", report=str(due.period), to=len(self.state.sent))
        self.state = DispatchState(due.due_ms, given_up=failures)
        self._made = None

    def _save(self) -> None:
        replace_file(self._path, msgspec.json.encode(self.state), durable=True)
