"""Accepts reports of newer agents that use values unknown to this server. Pure.

Within a wire version, fields, measurements and values of closed lists are only ever
added (docs/decisions/026-report-versions.md). The decoder ignores unknown fields
of a report. This module does the rest: an unknown outcome becomes `other`, an unknown
place, connection or VPN state becomes `unknown`, and a value that is neither a number
nor a text is dropped.
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


def drop_unknown(report: Any) -> Any:
    """Returns a report (JSON as Python objects) with unknown values replaced or
    dropped.

    Anything else is returned unchanged, to be rejected by the decoder.
    """
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
