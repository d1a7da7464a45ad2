"""Checks of a dashboard as a whole: titles, links, time range, refresh. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from dashboards.grafana.board import PERSONAL
from dashboards.grafana.checks.dashboard_document import DashboardDocument
from dashboards.grafana.checks.finding import Finding
from dashboards.grafana.checks.query_checks import shown
from probes.wire.catalogue import did_you_mean
from probes.wire.counted_text import counted

_RELATIVE = re.compile(r"now(?:-([0-9]{1,9})([smhdwMyQ]))?(?:/[a-zA-Z]+)?")
_LENGTH = re.compile(r"([0-9]{1,9})(ms|[smhdwMy])")
_SECONDS = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
    "M": 2_592_000,
    "Q": 7_776_000,
    "y": 31_536_000,
}
_LONGEST_S, _SHORTEST_S = 400 * 86_400, 60
_FASTEST_S = 10
# A range of a week or more shows nothing new within a minute.
_LONG_S, _FASTEST_OF_LONG_S = 7 * 86_400, 60
_LINK = re.compile(r"(?:^|/)d/([A-Za-z0-9_-]+)(?:/[^?]*)?(?:\?(.*))?", re.DOTALL)
_PARAMETER = re.compile(r"(?:^|&)var-([A-Za-z0-9_]+)=")
# Lines of InfluxDB differ in their tags; the name of each is "Value".
_FIELD_NAME = "${__field.name}"
_KEEPS_TIME = ("__url_time_range", "from=")


def check_layout(
    dashboard: DashboardDocument, boards: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """`boards`: the uid of each board that may be linked to → its variables."""
    where = dashboard.where
    if not dashboard.description.strip():
        yield Finding("descriptions", where, "has no description")
    yield from _check_titles(dashboard)
    yield from _check_time(dashboard)
    yield from _check_links(dashboard, boards)


def _check_titles(dashboard: DashboardDocument) -> Iterator[Finding]:
    titles = [panel.title.strip() for panel in dashboard.panels if panel.kind != "text"]
    for title, count in Counter(titles).items():
        if not title:
            text = f"has {counted(count, 'panel')} without a title"
            yield Finding("titles", dashboard.where, text)
        elif count > 1:
            text = f"has {count} panels with the title {shown(title)}; expected one"
            yield Finding("titles", dashboard.where, text)


def _check_time(dashboard: DashboardDocument) -> Iterator[Finding]:
    where = dashboard.where
    range_s = _range_s(dashboard)
    if dashboard.since and range_s is None:
        yield Finding(
            "time",
            where,
            f"begins at the fixed time {shown(dashboard.since)}; expected a time "
            "before now, such as 'now-24h'",
        )
    elif range_s is not None and not _SHORTEST_S <= range_s <= _LONGEST_S:
        yield Finding(
            "time",
            where,
            f"covers {shown(dashboard.since)} to {shown(dashboard.until or 'now')}; "
            "expected a minute to 400 days",
        )
    if not dashboard.refresh or dashboard.refresh == "auto":
        return
    length = _LENGTH.fullmatch(dashboard.refresh)
    if length is None:
        text = f"has the refresh {shown(dashboard.refresh)}; expected one such as '1m'"
        yield Finding("time", where, text)
        return
    refresh_s = int(length[1]) * _SECONDS[length[2]]
    is_long = range_s is not None and range_s >= _LONG_S
    fastest_s = _FASTEST_OF_LONG_S if is_long else _FASTEST_S
    if refresh_s < fastest_s:
        yield Finding(
            "time",
            where,
            f"queries everything again every {dashboard.refresh}, more often than "
            f"there is anything new; expected {fastest_s}s or more",
        )


def _range_s(dashboard: DashboardDocument) -> float | None:
    """Returns the length of the default range; None if it has a fixed time."""
    ends = []
    for written in (dashboard.since, dashboard.until or "now"):
        relative = _RELATIVE.fullmatch(written)
        if relative is None:
            return None
        ends.append(int(relative[1] or 0) * _SECONDS.get(relative[2] or "s", 0))
    if "/" in dashboard.since:
        # From the beginning of the day, week, …
        return max(ends[0] - ends[1], _SHORTEST_S)
    return ends[0] - ends[1]


def _check_links(
    dashboard: DashboardDocument, boards: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    where = dashboard.where
    links = [("", link) for link in dashboard.links]
    links += [(panel.title, link) for panel in dashboard.panels for link in panel.links]
    # The board of one laptop is alone in its organisation.
    is_personal = any(
        target.source.uid == PERSONAL
        for panel in dashboard.panels
        for target in panel.targets
    )
    if not is_personal and not any(link for _, link in links):
        text = "has no link to another board; expected one at the top or in a panel"
        yield Finding("links", where, text)
    for title, link in dict.fromkeys(links):
        at = f"{where}, panel {shown(title)}" if title else where
        yield from _check_link(at, link, boards, is_of_panel=bool(title))


def _check_link(
    where: str, link: str, boards: Mapping[str, frozenset[str]], is_of_panel: bool
) -> Iterator[Finding]:
    if _FIELD_NAME in link:
        text = f"a link takes {_FIELD_NAME}, which is 'Value' for each line"
        expected = "expected a tag, such as ${__field.labels.site}"
        yield Finding("links", where, f"{text}; {expected}")
    match = _LINK.search(link)
    # Boards of others are not known here.
    if match is None or not match[1].startswith("towpath-"):
        return
    uid, parameters = match[1], match[2] or ""
    if uid not in boards:
        text = f"links to the board {uid!r}, which is not there"
        yield Finding("links", where, text + did_you_mean(uid, boards))
        return
    for name in dict.fromkeys(_PARAMETER.findall(parameters)):
        if name not in boards[uid]:
            text = (
                f"links to {uid!r} with the variable {name!r}, which it does not have"
            )
            yield Finding("links", where, text + did_you_mean(name, boards[uid]))
    if is_of_panel and not any(part in parameters for part in _KEEPS_TIME):
        text = (
            f"links to {uid!r} without the time range; expected ${{__url_time_range}}"
        )
        yield Finding("links", where, text)
