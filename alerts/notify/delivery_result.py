"""How a delivery may fail. The channel classifies the failure; `Delivery` alone decides
when to try again."""

from __future__ import annotations

from typing import Protocol

from alerts.notify.page import Page


class RetryLater(Exception):
    """It did not arrive, but may later. `after_s`: the earliest time for that, if the
    other end names one."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class DeliveryRefused(Exception):
    """The other end refuses it for good, such as for an address that is gone. Somebody
    may correct that: it is tried again for as long, and goes elsewhere meanwhile."""


class PartlyDelivered(Exception):
    """Some recipients have it, others refused it. Sending it again would reach the
    first twice."""


class Notifier(Protocol):
    """One channel. Two pages with the same `id` are the same page."""

    async def notify(self, page: Page) -> None:
        """Returns when the other end has accepted it. Raises `RetryLater`,
        `DeliveryRefused` or `PartlyDelivered`."""
        ...
