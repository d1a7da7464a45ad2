"""`Query` as InfluxQL, for every InfluxDB (1.x, 2.x, 3) and for Grafana. Pure.

Only what all versions share: aggregates, GROUP BY time and tags, fill(none). The
meaning of the words is in `collectors.store.query`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from collectors.store.query import (
    PERCENTILES,
    Pick,
    Query,
    Where,
    means_query,
    weight_field,
)
from collectors.store.store_text import clean_tag
from probes.wire.catalogue import Measurement

# The columns of a query within a query: value times weight, and the weight.
_PRODUCT, _WEIGHT = ":product", ":weight"


class Grafana(msgspec.Struct, frozen=True):
    """What Grafana puts into a panel's or a rule's query when it asks.

    `interval` replaces the query's `every_ms`: the length of the buckets, or "" for no
    buckets, which is one row per group over the whole range. `variables` are tags
    filtered by a template variable: `{"site": "site"}` is `"site" =~ /^$site$/`.
    A rule may not use variables. `fill` is what an empty bucket is drawn as.
    """

    time_filter: str = "$timeFilter"
    interval: str = "$__interval"
    variables: Mapping[str, str] = {}
    fill: str = "none"


def render(query: Query, declared: Measurement, grafana: Grafana | None = None) -> str:
    """One SELECT. Columns are named by `Pick.name`; times are in ms where asked with
    `epoch=ms`. With `grafana` the times are Grafana's instead of the query's."""
    if query.mean_step_ms:
        return _of_means(query, declared)
    weights = {pick: weight_field(pick, declared) for pick in query.picks}
    columns = ", ".join(
        f"{_aggregate(pick, weight)} AS {identifier(pick.name)}"
        for pick, weight in weights.items()
    )
    if grafana is None:
        times = f"time >= {query.from_ms}ms AND time < {query.to_ms}ms"
        conditions = []
        every = f"{query.every_ms}ms" if query.every_ms else ""
        fill = "none"
    else:
        times = grafana.time_filter
        every = grafana.interval
        fill = grafana.fill
        conditions = [
            f"{identifier(tag)} =~ /^${variable}$/"
            for tag, variable in grafana.variables.items()
        ]
    conditions += [text for where in query.where if (text := _condition(where))]
    groups = [f"time({every})"] if every else []
    groups += [identifier(tag) for tag in query.group_by]
    having = f" WHERE {' AND '.join([times, *conditions])}"
    source = f"{identifier(query.measurement)}{having}"
    if any(weights.values()):
        # InfluxQL calculates with two fields of one row in a query of its own only, and
        # outside of that knows no tag by which it does not group.
        rows = f"SELECT {', '.join(_of_rows(weights))} FROM {source}"
        source = f"({rows}) WHERE {times}"
    return (
        f"SELECT {columns} FROM {source}"
        + (f" GROUP BY {', '.join(groups)}" if groups else "")
        + (f" fill({fill})" if every else "")
    )


def _of_means(query: Query, declared: Measurement) -> str:
    assert query.mean_step_ms is not None
    # The first step may begin before the range.
    from_ms = query.from_ms - query.from_ms % query.mean_step_ms
    columns = ", ".join(
        f"percentile({identifier(f'{pick.field}_mean')}, {PERCENTILES[pick.aggregate]})"
        f" AS {identifier(pick.name)}"
        for pick in query.picks
    )
    groups = ", ".join(map(identifier, query.group_by))
    return (
        f"SELECT {columns} FROM ({render(means_query(query), declared)})"
        f" WHERE time >= {from_ms}ms AND time < {query.to_ms}ms"
        + (f" GROUP BY {groups}" if groups else "")
    )


def identifier(name: str) -> str:
    """`name` as a quoted InfluxQL identifier."""
    return '"' + _escape(name, '"') + '"'


def literal(text: str) -> str:
    """`text` as an InfluxQL string literal."""
    return "'" + _escape(text, "'") + "'"


def regex(pattern: str) -> str:
    """A regular expression (RE2) as an InfluxQL literal."""
    return "/" + pattern.replace("/", "\\/").replace("\n", "\\x0a") + "/"


def exactly(text: str) -> str:
    """A regular expression that matches `text` alone."""
    return "^" + re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text) + "$"


def _escape(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return escaped.replace("\n", "\\n")


def _of_rows(weights: Mapping[Pick, str]) -> list[str]:
    """The columns of every row that the aggregates of `weights` are taken of."""
    columns: dict[str, None] = {}
    for pick, weight in weights.items():
        field = identifier(pick.field)
        if weight:
            by = identifier(weight)
            product = identifier(f"{pick.field}{_PRODUCT}")
            there = identifier(f"{pick.field}{_WEIGHT}")
            columns[f"{field} * {by} AS {product}"] = None
            # Nothing where the value is absent: such a row takes no part.
            columns[f"{by} + 0 * {field} AS {there}"] = None
        else:
            columns[field] = None
    return list(columns)


def _aggregate(pick: Pick, weight: str) -> str:
    field = identifier(pick.field)
    if weight:
        total = f"sum({identifier(f'{pick.field}{_WEIGHT}')})"
        if pick.aggregate == "weight":
            return total
        return f"sum({identifier(f'{pick.field}{_PRODUCT}')}) / {total}"
    if pick.aggregate == "weight":
        return f"count({field})"
    if pick.aggregate in PERCENTILES:
        return f"percentile({field}, {PERCENTILES[pick.aggregate]})"
    return f"{pick.aggregate}({field})"


def _condition(where: Where) -> str:
    tag = identifier(where.tag)
    if not where.values:
        # There is no `false` in InfluxQL; nothing comes before the start of a text.
        return "" if where.negate else f"{tag} =~ /x^/"
    sign, word = ("!=", " AND ") if where.negate else ("=", " OR ")
    parts = [f"{tag} {sign} {literal(clean_tag(value))}" for value in where.values]
    return parts[0] if len(parts) == 1 else "(" + word.join(parts) + ")"
