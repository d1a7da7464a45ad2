"""Renders a `Query` as InfluxQL, for InfluxDB 1.x, 2.x, 3 and for Grafana. Pure.

It uses only what all versions have: aggregates, GROUP BY time and tags, fill(none). The
meaning of each word is in `collectors.store.query`.
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

# The columns of a subquery: value times weight, and the weight.
_PRODUCT, _WEIGHT = ":product", ":weight"


class Grafana(msgspec.Struct, frozen=True):
    """What Grafana inserts into the query of a panel or rule.

    `interval` replaces the query's `every_ms`. It is the length of the buckets, or ""
    for one row per group over the whole range. `variables` are tags that a template
    variable filters: `{"site": "site"}` is `"site" =~ /^$site$/`. `searches` are tags
    of which a variable is any part, whatever its case. A rule cannot use either. `fill`
    is what is drawn for an empty bucket.
    """

    time_filter: str = "$timeFilter"
    interval: str = "$__interval"
    variables: Mapping[str, str] = {}
    fill: str = "none"
    searches: Mapping[str, str] = {}


def render(query: Query, declared: Measurement, grafana: Grafana | None = None) -> str:
    """Returns one SELECT, with columns named by `Pick.name`.

    Times are in ms if the request has `epoch=ms`. With `grafana` the times are
    Grafana's instead of the query's.
    """
    if query.mean_step_ms:
        return _render_percentiles_of_means(query, declared)
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
        conditions += [
            f"{identifier(tag)} =~ /(?i)${variable}/"
            for tag, variable in grafana.searches.items()
        ]
    conditions += [text for where in query.where if (text := _condition(where))]
    groups = [f"time({every})"] if every else []
    groups += [identifier(tag) for tag in query.group_by]
    having = f" WHERE {' AND '.join([times, *conditions])}"
    source = f"{identifier(query.measurement)}{having}"
    if any(weights.values()):
        # InfluxQL calculates with two fields of one row only in a subquery, and outside
        # it only the tags that are grouped by are known.
        rows = f"SELECT {', '.join(_row_columns(weights))} FROM {source}"
        source = f"({rows}) WHERE {times}"
    return (
        f"SELECT {columns} FROM {source}"
        + (f" GROUP BY {', '.join(groups)}" if groups else "")
        + (f" fill({fill})" if every else "")
    )


def _render_percentiles_of_means(query: Query, declared: Measurement) -> str:
    assert query.mean_step_ms is not None
    # The first step may start before the range.
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
    """Returns `name` as a quoted InfluxQL identifier."""
    return '"' + _escape(name, '"') + '"'


def literal(text: str) -> str:
    """Returns `text` as an InfluxQL string literal."""
    return "'" + _escape(text, "'") + "'"


def regex(pattern: str) -> str:
    """Returns a regular expression (RE2) as an InfluxQL literal."""
    return "/" + pattern.replace("/", "\\/").replace("\n", "\\x0a") + "/"


def exactly(text: str) -> str:
    """Returns a regular expression that matches only `text`."""
    return "^" + re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text) + "$"


def _escape(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return escaped.replace("\n", "\\n")


def _row_columns(weights: Mapping[Pick, str]) -> list[str]:
    """Returns the columns of the subquery that the aggregates are calculated from."""
    columns: dict[str, None] = {}
    for pick, weight in weights.items():
        field = identifier(pick.field)
        if weight:
            weight_column = identifier(weight)
            product = identifier(f"{pick.field}{_PRODUCT}")
            present_weight = identifier(f"{pick.field}{_WEIGHT}")
            columns[f"{field} * {weight_column} AS {product}"] = None
            # Absent if the value is absent, so that such a row does not count.
            columns[f"{weight_column} + 0 * {field} AS {present_weight}"] = None
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
        # InfluxQL has no `false`, but nothing can be before the start of a text.
        return "" if where.negate else f"{tag} =~ /x^/"
    sign, word = ("!=", " AND ") if where.negate else ("=", " OR ")
    parts = [f"{tag} {sign} {literal(clean_tag(value))}" for value in where.values]
    return parts[0] if len(parts) == 1 else "(" + word.join(parts) + ")"
