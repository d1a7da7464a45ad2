"""Who was turned away: counted by source and reason, said once and summed up hourly."""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import structlog

_log = structlog.get_logger()
_MOST = 1_000
_SUM_UP_S = 3_600.0
_ALL_OTHERS = "others"
HINTS = {
    "unknown_source": "no device of the estate has this address; if it is one, put it "
    "under [traps.addresses], or the relay under traps.forwarders",
    "wrong_community": "no SNMP credential has the community it sends",
    "unknown_user": "no SNMP credential has the user it names",
    "unsupported_level": "it signs or encrypts less than its user must",
    "wrong_digest": "its password or digest is another than the credential's",
    "not_decrypted": "its privacy password or cipher is another than the credential's",
    "not_in_time": "its engine's boots or time went back: a replay, or a device that "
    "forgot its boots; removing the traps' state file accepts it again",
    "repeated": "the same message came before: a replay, or a network that doubles",
    "malformed": "it is not SNMP as it should be",
    "not_a_trap": "it asks instead of telling: this is no agent",
}


class _Stranger(msgspec.Struct):
    said: int
    count: int
    said_s: float


class Strangers:
    """Bounded: beyond a thousand sources the rest are one."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], _Stranger] = OrderedDict()

    def note(self, source: str, reason: str, now_s: float) -> None:
        key = (source, reason)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:
                key = (_ALL_OTHERS, reason)
                known = self._known.get(key)
            if known is None:
                self._known[key] = _Stranger(1, 1, now_s)
                _log.warning(
                    "trap_refused", source=key[0], reason=reason, hint=HINTS[reason]
                )
                return
        known.count += 1

    def sum_up(self, now_s: float) -> None:
        """Says what has come since it was last said, and forgets who is gone."""
        for key, each in list(self._known.items()):
            if now_s - each.said_s < _SUM_UP_S:
                continue
            if each.count == each.said:
                del self._known[key]
                continue
            source, reason = key
            _log.warning(
                "traps_refused", source=source, reason=reason, count=each.count
            )
            each.said, each.said_s = each.count, now_s
