"""What a newer agent may say that this server does not know yet. Pure.

Within a version of the wire fields, measurements and values of closed lists are only
ever added (docs/decisions/026-versions-of-the-wire.md). Unknown fields of a report are
passed over by its decoder; the rest is here: an unknown outcome is `other`, an unknown
place, connection or state of the VPN is `unknown`, and a value that is neither a number
nor a text is left out.
"""

from __future__ import annotations

import re
from typing import Any, get_args

from probes.wire.failure import Outcome
from probes.wire.report import MAX_VALUES, Connection, Place, Vpn

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OUTCOMES = frozenset(outcome.value for outcome in Outcome)
_CLOSED = {
    "place": frozenset(get_args(Place)),
    "connection": frozenset(get_args(Connection)),
    "vpn": frozenset(get_args(Vpn)),
}


def understood(report: Any) -> Any:
    """The report `report` (JSON as Python objects) with what is not known here replaced
    or left out. What is not a report comes back as it is, to be refused."""
    if not isinstance(report, dict):
        return report
    known = dict(report)
    where = report.get("whereabouts")
    if isinstance(where, dict):
        known["whereabouts"] = where | {
            name: "unknown"
            for name, words in _CLOSED.items()
            if _is_name(where.get(name)) and where[name] not in words
        }
    results = report.get("results")
    if isinstance(results, list):
        known["results"] = [_understood_result(result) for result in results]
    return known


def _understood_result(result: Any) -> Any:
    if not isinstance(result, dict):
        return result
    known = dict(result)
    outcome = result.get("outcome")
    if _is_name(outcome) and outcome not in _OUTCOMES:
        known["outcome"] = Outcome.OTHER.value
    values = result.get("values")
    if isinstance(values, dict):
        fit = [pair for pair in values.items() if _is_name(pair[0]) and _fits(pair[1])]
        known["values"] = dict(fit[:MAX_VALUES])
    return known


def _is_name(word: object) -> bool:
    return isinstance(word, str) and _NAME.fullmatch(word) is not None


def _fits(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)
