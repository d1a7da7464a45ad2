"""What is done with the rows of a panel before they are shown, as values.

In this order: columns are calculated, rows are tested, sorted and grouped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class RowTest:
    """A row is kept if its `column` (by its name in the query) passes. A row without a
    value never passes `equal`, `greater` or `lower`."""

    column: str
    test: Literal[
        "equal", "notEqual", "greater", "greaterOrEqual", "lower", "lowerOrEqual"
    ]
    value: float | str


@dataclass(frozen=True)
class Calculated:
    """A further column: `left` `sign` `right`, columns or numbers as text. `max` is
    the greater of two columns, or the one that has a value."""

    name: str
    left: str
    sign: Literal["+", "-", "*", "/", "max"]
    right: str


@dataclass(frozen=True)
class RowGroups:
    """One row for each value of the columns `by`. `columns`: column → `count`, `sum`,
    `max`, `mean` …; the results are named `site (count)`. All others are dropped."""

    by: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)


def calculation_json(calculated: Calculated) -> dict[str, Any]:
    if calculated.sign == "max":
        greatest = {"include": [calculated.left, calculated.right], "reducer": "max"}
        return {
            "id": "calculateField",
            "options": {
                "mode": "reduceRow",
                "reduce": greatest,
                "alias": calculated.name,
                "replaceFields": False,
            },
        }
    binary = {
        "left": calculated.left,
        "operator": calculated.sign,
        "right": calculated.right,
    }
    options = {
        "mode": "binary",
        "binary": binary,
        "alias": calculated.name,
        "replaceFields": False,
    }
    return {"id": "calculateField", "options": options}


def tests_json(tests: tuple[RowTest, ...], match: str) -> dict[str, Any]:
    filters = [
        {
            "fieldName": test.column,
            "config": {"id": test.test, "options": {"value": test.value}},
        }
        for test in tests
    ]
    options = {"filters": filters, "type": "include", "match": match}
    return {"id": "filterByValue", "options": options}


def groups_json(groups: RowGroups) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: {"operation": "groupby", "aggregations": []} for name in groups.by
    }
    for name, aggregate in groups.columns.items():
        fields[name] = {"operation": "aggregate", "aggregations": [aggregate]}
    return {"id": "groupBy", "options": {"fields": fields}}
