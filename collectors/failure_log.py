"""Logs a failure once, and once that it is over."""

from __future__ import annotations

from typing import Literal

import structlog

_log = structlog.get_logger()


class FailureLog:
    """Logs the first failure of a series as `failed`, and its end as `recovered`.

    `key` keeps apart what fails on its own, such as several channels: each is logged
    once, and once more if the `kind` of the failure changes. Nothing is logged at the
    end if `recovered` is empty.
    """

    def __init__(
        self,
        failed: str,
        recovered: str = "",
        level: Literal["warning", "error"] = "error",
    ) -> None:
        self._failed_event, self._recovered_event = failed, recovered
        self._level = level
        self._failing: dict[str, str] = {}

    @property
    def failing(self) -> frozenset[str]:
        """The keys that fail now."""
        return frozenset(self._failing)

    def failed(
        self, error: object, key: str = "", kind: str = "", **fields: object
    ) -> None:
        """Logs the failure, unless `key` fails in that way already."""
        if self._failing.get(key) == kind:
            return
        self._failing[key] = kind
        text = repr(error) if isinstance(error, BaseException) else str(error)
        log = _log.error if self._level == "error" else _log.warning
        log(self._failed_event, error=text, **fields)

    def recovered(self, key: str | None = None, **fields: object) -> bool:
        """Notes that `key` works, or everything if that is None. True if it failed."""
        recovered = {k for k in self._failing if key is None or k == key}
        if not recovered:
            return False
        self._failing = {k: v for k, v in self._failing.items() if k not in recovered}
        if self._recovered_event:
            _log.info(self._recovered_event, **fields)
        return True
