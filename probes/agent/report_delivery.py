"""Delivers the reports of the spool to the server, and forgets only what the server has
confirmed.

The publisher reports what happened; when to try again is decided here alone. After an
outage every laptop of a council comes back at its own random time, over 60 s or more.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from probes.agent.spool import Spool
from probes.agent.spool_rows import SpooledReport
from probes.diagnosis.sent_log import SentLog
from probes.wire.clock import WallClock
from probes.wire.report import Receipt, ReportRefusal

_log = logging.getLogger(__name__)

BATCH_REPORTS = 200
BATCH_BYTES = 500_000
# What is usual in five minutes, before it is compressed.
SPARING_BYTES = 20_000
BETWEEN_BATCHES_S = (2.0, 6.0)
FIRST_RETRY_S = 60.0
LAST_RETRY_S = 1800.0
_GROWTH = 5 / 3
# A credential may be refused because it is too new; later because it was revoked.
FIRST_DENIED_S = 10.0
LAST_DENIED_S = 3600.0
# How soon one report is sent to see whether the server has been updated.
VERSION_RETRY_S = 3600.0
RETRY_AFTER_MOST_S = 3600.0


class Publisher(Protocol):
    """Sends reports to the server and returns what it has made durable.

    Raises `Later` (nothing is known to have been accepted), `CredentialRefused`,
    `BodyTooLarge` or `NotTaken`. Sending a report twice changes nothing.
    """

    async def send(self, reports: Sequence[SpooledReport]) -> Receipt: ...


class Later(Exception):
    """Try again later; `after_s`: when the server asked for that, or when it may have
    changed, if that is known."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class CredentialRefused(Exception):
    """The server does not know this laptop's credential, or not any more. `used_twice`:
    because another laptop has it, or has replaced it."""

    def __init__(self, reason: str, *, used_twice: bool = False) -> None:
        super().__init__(reason)
        self.used_twice = used_twice


class BodyTooLarge(Exception):
    """The server accepts fewer reports at once."""


class NotTaken(Exception):
    """The server cannot read this body; fewer reports at once may show why."""


def retry_s(failures: int, after_s: float | None, chance: float) -> float:
    """Returns the seconds until the next try after `failures` in a row. Pure.

    `chance` is uniform in [0, 1): it spreads the first retry of many laptops over
    30 to 90 s, the second over 50 to 150 s, and each later one over as much as its own
    wait. So after a restart of up to 75 s all are back within 150 s.
    """
    if after_s is not None:
        return min(max(after_s, 1.0), RETRY_AFTER_MOST_S) * (1 + 0.25 * chance)
    wait_s = min(FIRST_RETRY_S * _GROWTH ** min(failures - 1, 20), LAST_RETRY_S)
    return wait_s * (0.5 + chance)


def denied_retry_s(denials: int, chance: float) -> float:
    """Returns the seconds until the next try after the credential was refused `denials`
    times in a row: 5 to 15 s at first, four times as long each time, up to about an
    hour. Pure.

    `chance` is uniform in [0, 1).
    """
    wait_s = min(FIRST_DENIED_S * 4.0 ** min(denials - 1, 10), LAST_DENIED_S)
    return wait_s * (0.5 + chance)


class ReportDelivery:
    """`await deliver()` makes one attempt and returns the seconds to wait before the
    next one, or None if nothing waits. Server errors never raise."""

    def __init__(
        self,
        spool: Spool,
        publisher: Publisher,
        sent: SentLog,
        now_ms: WallClock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._spool, self._publisher, self._sent = spool, publisher, sent
        self._now_ms, self._chance = now_ms, chance
        self._batch_reports = BATCH_REPORTS
        self._failures = self._denials = 0
        # Versions that the server does not read, and when to try one report again.
        self._unread_until_ms: dict[int, int] = {}
        self.trouble = ""
        self.delivered_ms: int | None = None
        self.delivered = 0
        self._policy_version = ""
        self.refused: Counter[str] = Counter()

    async def deliver(self, sparing: bool = False) -> float | None:
        """Makes one request with the oldest reports; a small one if `sparing`."""
        most_bytes = SPARING_BYTES if sparing else BATCH_BYTES
        batch = self._spool.oldest(
            self._batch_reports, most_bytes, self._unread_until_ms
        )
        if not batch:
            batch = self._spool.oldest(1, most_bytes, self._held_versions())
        if not batch:
            return None
        try:
            receipt = await self._publisher.send(batch)
        except Later as later:
            return self._failed(str(later), later.after_s)
        except CredentialRefused as refused:
            self._denials += 1
            self._failed(str(refused), None)
            return denied_retry_s(self._denials, self._chance())
        except (BodyTooLarge, NotTaken) as error:
            if len(batch) > 1:
                self._batch_reports = max(len(batch) // 2, 1)
                return self._pause_s()
            receipt = Receipt((), (ReportRefusal(batch[0].id, str(error)),))
        self._policy_version = receipt.policy or self._policy_version
        if not self._accept(batch, receipt):
            return self._failed("the server's receipt names none of the reports", None)
        if not self._spool.waiting:
            return None
        return self._pause_s()

    def take_policy_version(self) -> str:
        """Returns the version of the policy that the last receipt named, once."""
        version, self._policy_version = self._policy_version, ""
        return version

    def _accept(self, batch: Sequence[SpooledReport], receipt: Receipt) -> bool:
        """Forgets what `receipt` names. Returns False if it names nothing."""
        now_ms = self._now_ms()
        accepted = set(receipt.accepted)
        # The receipt may also name reports of an earlier try that was not answered.
        # Only those of this batch can be logged; the others were logged then.
        self._sent.append(
            now_ms, [report.body for report in batch if report.id in accepted]
        )
        refused = [refusal for refusal in receipt.refused if not refusal.is_for_version]
        for refusal in refused:
            self.refused[refusal.why] += 1
            _log.warning("report_refused id=%s error=%s", refusal.id, refusal.why)
        for report in batch:
            if report.id in accepted and report.version in self._unread_until_ms:
                del self._unread_until_ms[report.version]
                _log.info("version_accepted version=%d", report.version)
        unread = self._keep_unread(batch, receipt)
        forgotten = self._spool.forget(Receipt(receipt.accepted, tuple(refused)))
        if not forgotten and not unread:
            return False
        self.delivered += forgotten - len(refused)
        if accepted:
            self.delivered_ms = now_ms
        if self.trouble and not unread:
            _log.info("delivery_recovered")
        self.trouble = unread
        self._failures = self._denials = 0
        self._batch_reports = min(self._batch_reports * 2, BATCH_REPORTS)
        return True

    def _held_versions(self) -> list[int]:
        now_ms = self._now_ms()
        return [
            version
            for version, until_ms in self._unread_until_ms.items()
            if until_ms > now_ms
        ]

    def _keep_unread(self, batch: Sequence[SpooledReport], receipt: Receipt) -> str:
        """Holds back what the server refused for its version: it stays in the spool
        until the server has been updated. Returns a sentence while anything is held
        back."""
        unread = {
            refusal.id: refusal.why
            for refusal in receipt.refused
            if refusal.is_for_version
        }
        for report in batch:
            if report.id not in unread:
                continue
            if report.version not in self._unread_until_ms:
                _log.warning(
                    "version_refused version=%d error=%s",
                    report.version,
                    unread[report.id],
                )
            wait_s = VERSION_RETRY_S * (0.5 + self._chance())
            self._unread_until_ms[report.version] = self._now_ms() + int(wait_s * 1000)
        if not self._unread_until_ms:
            return ""
        versions = ", ".join(str(version) for version in sorted(self._unread_until_ms))
        return f"the server must be updated to read reports of version {versions}"

    def _failed(self, reason: str, after_s: float | None) -> float:
        if reason != self.trouble:
            _log.warning("delivery_failed error=%s", reason)
        self.trouble = reason
        self._failures += 1
        return retry_s(self._failures, after_s, self._chance())

    def _pause_s(self) -> float:
        least, most = BETWEEN_BATCHES_S
        return least + (most - least) * self._chance()
