"""`SentParts`: which recipients have a message already, while others are tried again.

Only in memory: after a restart a message goes to all again, under its own id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from alerts.notify.delivery_result import (
    DeliveryRefused,
    MessageTooLarge,
    PartlyDelivered,
    RetryLater,
)

# Longer would keep the end of the alert from those who have its beginning. Most
# greylisting accepts a mail within minutes.
_PATIENCE_MS = 900_000
_MOST_MESSAGES = 1000


class RecipientFailure(NamedTuple):
    """Why one recipient did not get a message: `reason` names the recipient."""

    reason: str
    is_refused: bool = False
    may_have_arrived: bool = False
    is_too_large: bool = False


class SentParts:
    def __init__(self) -> None:
        self._recipients: dict[str, set[str]] = {}
        self._since_ms: dict[str, int] = {}

    def has(self, id: str, recipient: str) -> bool:
        return recipient in self._recipients.get(id, ())

    def add(self, id: str, recipient: str) -> None:
        while len(self._recipients) >= _MOST_MESSAGES:
            self._forget(next(iter(self._recipients)))
        self._recipients.setdefault(id, set()).add(recipient)

    def settle(
        self,
        id: str,
        now_ms: int,
        where: str,
        failures: Sequence[RecipientFailure],
    ) -> None:
        """Returns if all have the message. Raises `RetryLater` while somebody may still
        get it, `DeliveryRefused` if nobody will, and `PartlyDelivered` if only some
        have it and the others refuse it or were tried for long enough."""
        some_sent = bool(self._recipients.get(id))
        if not failures:
            self._forget(id)
            return
        reason = f"{where}: {'; '.join(failure.reason for failure in failures)}"
        refused = all(failure.is_refused for failure in failures)
        if some_sent:
            since_ms = self._since_ms.setdefault(id, now_ms)
            if refused or now_ms - since_ms >= _PATIENCE_MS:
                self._forget(id)
                raise PartlyDelivered(f"{reason}; accepted for the others")
            raise RetryLater(reason, may_have_arrived=True)
        if all(failure.is_too_large for failure in failures):
            raise MessageTooLarge(reason)
        if refused:
            raise DeliveryRefused(reason)
        unsure = any(failure.may_have_arrived for failure in failures)
        raise RetryLater(reason, may_have_arrived=unsure)

    def _forget(self, id: str) -> None:
        self._recipients.pop(id, None)
        self._since_ms.pop(id, None)
