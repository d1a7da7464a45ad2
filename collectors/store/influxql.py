"""Renders a `Query` as InfluxQL, for InfluxDB 1.x, 2.x, 3 and for Grafana. Pure.

It uses only what all versions have: aggregates, GROUP BY time and tags, fill(none). The
meaning of each word is in `collectors.store.query`. `collectors.store.influxql_ranges`
lists every form of the texts for Grafana.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from collectors.store.query import (
    PERCENTILES,
    Pick,
    Query,
    Where,
    means_query,
    weight_field,
)
from collectors.store.rolled_measurements import (
    parts_of,
    percentile_part,
    rolled_name,
)
from collectors.store.store_text import clean_tag
from probes.wire.catalogue import Measurement

# The columns of a subquery: value times weight, and the weight.
PRODUCT, WEIGHT = ":product", ":weight"


class Grafana(msgspec.Struct, frozen=True):
    """What Grafana inserts into the query of a panel or rule.

    `interval` replaces the query's `every_ms`. It is the length of the buckets, or ""
    for one row per group over the whole range. `variables` are tags that a template
    variable filters: `{"site": "site"}` is `"site" =~ /^${site:regex}$/`. (Without
    `regex`, some versions escape only what may be several values.) `searches` are tags
    of which a variable is any part, whatever its case. A rule cannot use either. `fill`
    is what is drawn for an empty bucket. With `step` ("5m", "1h") the roll-up by that
    step is read instead of the rows.
    """

    time_filter: str = "$timeFilter"
    interval: str = "$__interval"
    variables: Mapping[str, str] = {}
    fill: str = "none"
    searches: Mapping[str, str] = {}
    step: str = ""


def render(query: Query, declared: Measurement, grafana: Grafana | None = None) -> str:
    """Returns one SELECT, with columns named by `Pick.name`.

    Times are in ms if the request has `epoch=ms`. With `grafana` the times are
    Grafana's instead of the query's. Raises `ValueError` if the roll-up that `grafana`
    names does not answer the query.
    """
    if query.mean_step_ms:
        return _render_percentiles_of_means(query, declared, grafana)
    if grafana is None:
        times = between(query.from_ms, query.to_ms)
        every = f"{query.every_ms}ms" if query.every_ms else ""
        fill = "none"
    else:
        times, every, fill = grafana.time_filter, grafana.interval, grafana.fill
    step = grafana.step if grafana else ""
    columns = ", ".join(
        f"{column(pick, declared, step)} AS {identifier(pick.name)}"
        for pick in query.picks
    )
    rows = source(query, declared, times, grafana)
    return f"SELECT {columns} FROM {rows}" + grouped(every, query.group_by, fill)


def source(
    query: Query, declared: Measurement, times: str, grafana: Grafana | None
) -> str:
    """Returns what the columns of a query are read from: a measurement or a subquery,
    with its WHERE."""
    step = grafana.step if grafana else ""
    variables = grafana.variables if grafana else {}
    searches = grafana.searches if grafana else {}
    name = rolled_name(query.measurement, step) if step else query.measurement
    limits = [
        times,
        *(
            f"{identifier(tag)} =~ /^{chosen(name)}$/"
            for tag, name in variables.items()
        ),
        *(
            f"{identifier(tag)} =~ /(?i){chosen(name)}/"
            for tag, name in searches.items()
        ),
        *conditions(query.where),
    ]
    plain = f"{identifier(name)} WHERE {' AND '.join(limits)}"
    weights = {pick: weight_field(pick, declared) for pick in query.picks}
    if step or not any(weights.values()):
        return plain
    # InfluxQL calculates with two fields of one row only in a subquery, and outside it
    # only the tags that are grouped by are known.
    return f"(SELECT {', '.join(_row_columns(weights))} FROM {plain}) WHERE {times}"


def column(pick: Pick, declared: Measurement, step: str = "") -> str:
    """Returns the expression of `pick`: of rows, or of the roll-up by `step`."""
    if not step:
        return _aggregate(pick, weight_field(pick, declared))
    parts = parts_of(pick, declared)
    if parts is None:
        raise ValueError(f"no roll-up of {declared.name!r} has {pick.name}")
    merged = (f"{part.merged_by}({identifier(part.name)})" for part in parts)
    return " / ".join(merged)


def _render_percentiles_of_means(
    query: Query, declared: Measurement, grafana: Grafana | None
) -> str:
    assert query.mean_step_ms is not None
    step = grafana.step if grafana else ""
    columns = percentiles_of(query, percentile_part(step))
    if grafana is None:
        # The first step may start before the range.
        from_ms = query.from_ms - query.from_ms % query.mean_step_ms
        where = f" WHERE {between(from_ms, query.to_ms)}"
        every, fill = "", ""
        means = render(means_query(query), declared)
    elif step:
        # Reading the means, or ranks of days, is many times as fast.
        every, fill = grafana.interval, grafana.fill
        rows = source(query, declared, grafana.time_filter, grafana)
        return f"SELECT {columns} FROM {rows}" + grouped(every, query.group_by, fill)
    else:
        every, fill = grafana.interval, grafana.fill
        # InfluxDB returns nothing if the first step starts before the outer range.
        where = f" WHERE {grafana.time_filter}" if every else ""
        by_step = msgspec.structs.replace(
            grafana, interval=f"{query.mean_step_ms}ms", fill="none"
        )
        means = render(means_query(query), declared, by_step)
    return f"SELECT {columns} FROM ({means}){where}" + grouped(
        every, query.group_by, fill
    )


def show_tag_values(
    measurements: Iterable[str], tag: str, limits: Iterable[str] = ()
) -> str:
    """Returns the statement that asks for the values of `tag` in rows that meet all
    `limits`."""
    where = " AND ".join(limits)
    return (
        f"SHOW TAG VALUES FROM {', '.join(map(identifier, measurements))}"
        f" WITH KEY = {identifier(tag)}" + (f" WHERE {where}" if where else "")
    )


def percentiles_of(query: Query, part: str) -> str:
    """Returns the columns of the percentiles of that part of each field."""
    return ", ".join(
        f"percentile({identifier(f'{pick.field}_{part}')}, "
        f"{PERCENTILES[pick.aggregate]}) AS {identifier(pick.name)}"
        for pick in query.picks
    )


def between(from_ms: int, to_ms: int) -> str:
    """Returns the condition that a row is of that time."""
    return f"time >= {from_ms}ms AND time < {to_ms}ms"


def grouped(every: str, tags: Sequence[str], fill: str) -> str:
    """Returns the GROUP BY and fill of a query, or nothing."""
    groups = ([f"time({every})"] if every else []) + [*map(identifier, tags)]
    return (f" GROUP BY {', '.join(groups)}" if groups else "") + (
        f" fill({fill})" if every else ""
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


def chosen(variable: str) -> str:
    """Returns what Grafana replaces by the values of `variable`, escaped for a regular
    expression."""
    return f"${{{variable}:regex}}"


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
            product = identifier(f"{pick.field}{PRODUCT}")
            present_weight = identifier(f"{pick.field}{WEIGHT}")
            columns[f"{field} * {weight_column} AS {product}"] = None
            # Absent if the value is absent, so that such a row does not count.
            columns[f"{weight_column} + 0 * {field} AS {present_weight}"] = None
        else:
            columns[field] = None
    return list(columns)


def _aggregate(pick: Pick, weight: str) -> str:
    field = identifier(pick.field)
    if weight:
        total = f"sum({identifier(f'{pick.field}{WEIGHT}')})"
        if pick.aggregate == "weight":
            return total
        return f"sum({identifier(f'{pick.field}{PRODUCT}')}) / {total}"
    if pick.aggregate == "weight":
        return f"count({field})"
    if pick.aggregate in PERCENTILES:
        return f"percentile({field}, {PERCENTILES[pick.aggregate]})"
    return f"{pick.aggregate}({field})"


def conditions(wheres: Iterable[Where]) -> list[str]:
    """Returns the text of each condition; of one that all tags meet, none."""
    return [text for where in wheres if (text := _condition(where))]


def _condition(where: Where) -> str:
    tag = identifier(where.tag)
    if where.pattern:
        return f"{tag} {'!~' if where.negate else '=~'} {regex(where.pattern)}"
    if not where.values:
        # InfluxQL has no `false`, but nothing can be before the start of a text.
        return "" if where.negate else f"{tag} =~ /x^/"
    sign, word = ("!=", " AND ") if where.negate else ("=", " OR ")
    parts = [f"{tag} {sign} {literal(clean_tag(value))}" for value in where.values]
    return parts[0] if len(parts) == 1 else "(" + word.join(parts) + ")"
