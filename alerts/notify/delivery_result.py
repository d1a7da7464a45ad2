"""What a channel may answer. The channel classifies; delivery alone decides when to
try again."""

from __future__ import annotations

from typing import Protocol

from alerts.notify.page import Page


class Retry(Exception):
    """It did not arrive, but may later. `after_s`: not before, where the other end
    says so."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class DeliveryRefused(Exception):
    """The other end says that it will never take it, such as an address that is gone.
    Somebody may mend that: it is tried again as long, and goes elsewhere meanwhile."""


class Partly(Exception):
    """Some of those behind the channel have it, others will not. Saying it again would
    tell the first twice."""


class Notifier(Protocol):
    """One channel. Two pages with the same `id` are the same page."""

    async def notify(self, page: Page) -> None:
        """Returns when the other end has taken it; raises `Retry`, `DeliveryRefused` or
        `Partly`."""
        ...
