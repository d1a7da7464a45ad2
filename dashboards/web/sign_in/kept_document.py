"""`KeptDocument`: what the identity provider published, fetched when it is too old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from dashboards.web.sign_in.sign_in_refusal import NOT_REACHED, SignInRefused
from probes.wire.clock import WallClock

_log = structlog.get_logger()
_Document = TypeVar("_Document")
# A provider announces new keys before it signs with them, days before if it is good.
_FRESH_MS = 3_600_000
# While the provider does not answer, what it said before is good for a day.
_STALE_MS = 86_400_000
# An unknown key leads to a new look, but tokens of strangers lead to no flood.
_LOOK_AGAIN_MS = 30_000
# While the provider is away, requests do not each wait until it times out.
_AWAY_MS = 10_000


class ProviderUnusable(Exception):
    """The provider does not answer, or not as it should. The text is a sentence for
    the administrator."""


class KeptDocument(Generic[_Document]):
    """`fetch` raises `ProviderUnusable`. One request fetches at a time, and those that
    wait for it get its result."""

    def __init__(self, now_ms: WallClock) -> None:
        self._now_ms = now_ms
        self._kept: tuple[int, _Document] | None = None
        self._failed: tuple[int, ProviderUnusable] | None = None
        self._looked_ms: int | None = None
        self._turn = asyncio.Lock()

    async def get(
        self, fetch: Callable[[], Awaitable[_Document]], again: bool = False
    ) -> _Document:
        """The document. `again`: what it lacks may be new. Raises `SignInRefused`."""
        async with self._turn:
            now_ms = self._now_ms()
            if again:
                is_due = not _is_within(self._looked_ms, now_ms, _LOOK_AGAIN_MS)
            else:
                is_due = not _is_within(_time_of(self._kept), now_ms, _FRESH_MS)
            if is_due and not _is_within(_time_of(self._failed), now_ms, _AWAY_MS):
                if again:
                    self._looked_ms = now_ms
                try:
                    self._kept, self._failed = (now_ms, await fetch()), None
                except ProviderUnusable as error:
                    _log.warning("identity_provider_unusable", error=str(error))
                    # It may have taken its time to fail.
                    self._failed = self._now_ms(), error
            if self._kept is not None and _is_within(self._kept[0], now_ms, _STALE_MS):
                return self._kept[1]
            why = str(self._failed[1]) if self._failed else "nothing was published"
            raise SignInRefused(NOT_REACHED, why, 503)


def _time_of(kept: tuple[int, object] | None) -> int | None:
    return None if kept is None else kept[0]


def _is_within(at_ms: int | None, now_ms: int, span_ms: int) -> bool:
    """Whether it was less than `span_ms` ago; a clock that was put back counts as
    longer."""
    return at_ms is not None and 0 <= now_ms - at_ms < span_ms
