"""Variables of a board as classic JSON. Pure."""

from __future__ import annotations

from typing import Any

from dashboards.grafana.board_variables import Variable

_NOT_HIDDEN, _HIDDEN = 0, 2
# `VariableSort.naturalAsc`.
_NATURAL_ORDER = 7


def variable_json(variable: Variable, source: dict[str, str]) -> dict[str, Any]:
    """Returns the JSON of a variable, whose values come from `source`."""
    document: dict[str, Any] = {
        "name": variable.name,
        "label": variable.label,
        "type": variable.kind,
        "hide": _HIDDEN if variable.hidden else _NOT_HIDDEN,
        "skipUrlSync": False,
    }
    match variable.kind:
        case "query":
            document |= _query(variable, source)
        case "textbox":
            document |= {
                "query": variable.default,
                "current": _option(variable.default),
                "options": [{"selected": True, **_option(variable.default)}],
            }
        case "constant":
            document |= {
                "query": variable.default,
                "current": _option(variable.default),
                "options": [],
                "hide": _HIDDEN,
            }
        case "custom":
            document |= _custom(variable)
    return document


def _query(variable: Variable, source: dict[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "datasource": source,
        "query": variable.query(),
        "definition": variable.query(),
        # At every change of the time range.
        "refresh": 2,
        # A query of its own returns the worst first, which sorting would undo. Other
        # names are in natural order (2 before 10); Grafana before 10.4 does not know
        # it, and keeps the alphabetical one of the store.
        "sort": 0 if variable.influxql else _NATURAL_ORDER,
        "regex": variable.regex,
        "multi": variable.multiple,
        "includeAll": variable.multiple,
        "options": [],
    }
    if variable.multiple:
        chosen = variable.default or "$__all"
        shown = variable.default or "All"
        document["current"] = {"text": [shown], "value": [chosen]}
        if variable.all_value:
            document["allValue"] = variable.all_value
    else:
        document["current"] = _option(variable.default)
    return document


def _custom(variable: Variable) -> dict[str, Any]:
    # Grafana splits the text at commas and " : ".
    texts = [
        f"{_escaped(text)} : {_escaped(value)}"
        for value, text in variable.options.items()
    ]
    return {
        "query": ", ".join(texts),
        "multi": False,
        "includeAll": False,
        "current": {
            "text": variable.options[variable.default],
            "value": variable.default,
        },
        "options": [
            {"selected": value == variable.default, "text": text, "value": value}
            for value, text in variable.options.items()
        ],
    }


def _escaped(text: str) -> str:
    return text.replace(",", "\\,")


def _option(value: str) -> dict[str, str]:
    return {"text": value, "value": value}
