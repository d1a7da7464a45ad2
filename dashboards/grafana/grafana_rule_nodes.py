"""The parts of a Grafana alert rule: its queries, and the expressions over them. Pure.

A rule fires for each subject whose condition is not 0. Each condition of ours is a
query, reduced to its last value, and compared in one expression.

Recovery thresholds (`clear`): Grafana has one for the whole rule, ours has one for each
condition. So each condition counts 2 if its threshold is passed, 1 if only `clear` is,
and 0 otherwise; the product is at its most if all thresholds are passed, and 0 if any
condition has recovered. Grafana before 10.4 ignores the recovery threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alerts.rule import Condition
from collectors.server_measurements import CATALOGUE
from collectors.store.influxql import Grafana, render
from collectors.store.query import Query
from dashboards.grafana.board import SHARED

_EXPRESSION = "__expr__"


def query_node(ref: str, query: Query) -> dict[str, Any]:
    """Returns a query of the time from `query.to_ms` before the evaluation up to it."""
    return {
        "refId": ref,
        "relativeTimeRange": {"from": query.to_ms // 1000, "to": 0},
        "datasourceUid": SHARED,
        "model": {
            "refId": ref,
            "datasource": {"type": "influxdb", "uid": SHARED},
            "rawQuery": True,
            "resultFormat": "time_series",
            "intervalMs": 60_000,
            "maxDataPoints": 43_200,
            "query": render(
                query, CATALOGUE.measurement(query.measurement), Grafana(interval="")
            ),
        },
    }


def reduce_node(ref: str, of: str) -> dict[str, Any]:
    return _expression_node(
        ref,
        {
            "type": "reduce",
            "expression": of,
            "reducer": "last",
            "settings": {"mode": "dropNN"},
        },
    )


def math_node(ref: str, expression: str) -> dict[str, Any]:
    return _expression_node(ref, {"type": "math", "expression": expression})


def condition_nodes(
    conditions: Sequence[tuple[str, Condition]], others: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Returns the nodes up to `C`, the condition of the rule. `conditions`: the
    reference of a value, and what it is compared with. `others`: further expressions
    that must hold."""
    holds = [
        f"${ref} {condition.comparison} {_number(condition.threshold)}"
        for ref, condition in conditions
    ]
    if all(condition.clear is None for _, condition in conditions):
        return [math_node("C", " && ".join([*holds, *others]))]
    factors = [
        f"(2 * ({text}))"
        if condition.clear is None
        else f"(({text}) + (${ref} {condition.comparison} {_number(condition.clear)}))"
        for text, (ref, condition) in zip(holds, conditions, strict=True)
    ]
    factors += [f"(2 * ({text}))" for text in others]
    return [
        math_node("M", " * ".join(factors)),
        _threshold_node("C", "M", 2 ** len(factors) - 0.5, 0.5),
    ]


def _threshold_node(ref: str, of: str, above: float, until: float) -> dict[str, Any]:
    """Fires above `above` until it is below `until`."""
    condition = {
        "evaluator": {"type": "gt", "params": [above]},
        "unloadEvaluator": {"type": "lt", "params": [until]},
    }
    return _expression_node(
        ref, {"type": "threshold", "expression": of, "conditions": [condition]}
    )


def _expression_node(ref: str, model: dict[str, Any]) -> dict[str, Any]:
    source = {"type": _EXPRESSION, "uid": _EXPRESSION}
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": _EXPRESSION,
        "model": {"refId": ref, "datasource": source, **model},
    }


def _number(number: float) -> str:
    return f"{number:.10g}"
