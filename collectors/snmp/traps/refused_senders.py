"""Counts refused notifications by source and reason, and logs them at most hourly."""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import structlog

_log = structlog.get_logger()
_MAX_SOURCES = 1_000
_SUMMARY_S = 3_600.0
_OTHER_SOURCES = "others"
HINTS = {
    "unknown_source": "no device of the estate has this address; if one sends from it, "
    "add the address to [traps.addresses], or a forwarder's to traps.forwarders",
    "wrong_community": "no SNMP credential has this community",
    "unknown_user": "no SNMP credential has this user",
    "unsupported_level": "it signs or encrypts less than its user's credential "
    "requires",
    "wrong_digest": "its password or digest differs from the credential's",
    "not_decrypted": "its privacy password or cipher differs from the credential's",
    "not_in_time": "its engine's boots or time went back: a replay, or a device that "
    "lost its boots; remove the traps' state file to accept it again",
    "repeated": "the same message came before: a replay, or a network that duplicates",
    "malformed": "it is not valid SNMP",
    "not_a_trap": "it is a request, and this is not an agent",
}


class _RefusalCount(msgspec.Struct):
    logged: int
    count: int
    logged_s: float


class RefusedSenders:
    """Counts refusals; beyond a thousand sources all others are counted as one."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], _RefusalCount] = OrderedDict()

    def count_refusal(self, source: str, reason: str, now_s: float) -> None:
        key = (source, reason)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MAX_SOURCES:
                key = (_OTHER_SOURCES, reason)
                known = self._known.get(key)
            if known is None:
                self._known[key] = _RefusalCount(1, 1, now_s)
                _log.warning(
                    "trap_refused", source=key[0], reason=reason, hint=HINTS[reason]
                )
                return
        known.count += 1

    def log_summary(self, now_s: float) -> None:
        """Log what came since the last summary; forget sources that have stopped."""
        for key, refusals in list(self._known.items()):
            if now_s - refusals.logged_s < _SUMMARY_S:
                continue
            if refusals.count == refusals.logged:
                del self._known[key]
                continue
            source, reason = key
            _log.warning(
                "traps_refused", source=source, reason=reason, count=refusals.count
            )
            refusals.logged, refusals.logged_s = refusals.count, now_s
