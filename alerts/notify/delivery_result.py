"""How a delivery may fail. The channel classifies the failure; `Delivery` alone decides
when to try again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

from alerts.alert import Alert
from alerts.notify.page import Page

FailureKind = Literal["unauthorised", "refused", "unreachable", "broken"]


class RetryLater(Exception):
    """It did not arrive, but may later. `after_s`: the earliest time for that, if the
    other end names one. `may_have_arrived`: nobody knows, because the connection broke
    before the answer; so it is sent again as the same message."""

    def __init__(
        self,
        why: str,
        after_s: float | None = None,
        may_have_arrived: bool = False,
    ) -> None:
        super().__init__(why)
        self.after_s, self.may_have_arrived = after_s, may_have_arrived


class DeliveryRefused(Exception):
    """The other end refuses it for good, such as for an address that is gone. Somebody
    may correct that: it is tried again for as long, and goes elsewhere meanwhile."""


class UnauthorisedCall(DeliveryRefused):
    """The other end does not know the sender, or no more."""


class MessageTooLarge(DeliveryRefused):
    """The other end accepts no message of this size: it is split, if it can be."""


class PartlyDelivered(Exception):
    """Some recipients have it, others refused it. Sending it again would reach the
    first twice."""


def failure_kind(error: Exception) -> FailureKind:
    """What went wrong, for figures and the log; `broken`: an error in Towpath."""
    match error:
        case UnauthorisedCall():
            return "unauthorised"
        case DeliveryRefused() | PartlyDelivered():
            return "refused"
        case RetryLater() | TimeoutError():
            return "unreachable"
    return "broken"


class Notifier(Protocol):
    """One channel. Two pages with the same `id` are the same page. `where` names the
    other end without secrets."""

    @property
    def where(self) -> str: ...

    async def notify(self, page: Page) -> None:
        """Returns when the other end has accepted it. Raises `RetryLater`,
        `DeliveryRefused` or `PartlyDelivered`."""
        ...


@runtime_checkable
class StandingNotifier(Protocol):
    """A channel whose other end shows what lasts, and hears of it every `refresh_s`."""

    refresh_s: float

    async def refresh(self, page: Page, told: Mapping[str, Alert]) -> None:
        """`page`: every alert that lasts and was delivered here, as it is now. `told`:
        episode → the alert as this channel knows it. Raises what `notify` does."""
        ...
