"""Where each field of the catalogue is shown, so that nothing is stored that nobody
sees without a reason. `towpath dashboards fields` prints it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from alerts.rule import Rule
from alerts.rule_files import load_rules
from collectors.calls.probe_agreement import recorded_query
from collectors.experience.agent_results import VALUES
from collectors.server_measurements import CATALOGUE
from collectors.store.query import Query
from dashboards.grafana import BOARDS
from dashboards.missing_figures import laptops_query
from dashboards.observed.polling_periods import polling_periods
from dashboards.report import report_queries
from dashboards.report.parity import parity_query
from dashboards.report.recorded_calls import phone_query, places_query, read_query
from dashboards.report.trend import answered_query
from dashboards.web import device_queries, page_queries
from probes.wire.catalogue import Catalogue
from probes.wire.counted_text import counted

# Measurement and field.
FieldName = tuple[str, str]
_MOST_NAMES = 2
_DAY_MS = 86_400_000
_SUPPORT = "support of one laptop: ask the personal database"
# What else reads a field.
_READ_BY: dict[FieldName, str] = {
    ("neighbour", "remote_chassis"): "topology",
    ("identity", "sys_name"): "topology",
    ("identity", "chassis"): "topology",
    ("site_name", "called"): "the names of sites in tables",
    ("experience", "call_tests"): "the words for groups without figures",
}
# The reasons for which a field is stored although nobody is shown it.
NOT_SHOWN: dict[FieldName, str] = {
    ("device", "icmp_up"): "`up` and the graph of loss say it",
    ("device", "own_clock"): "says how `uptime_s` is known",
    ("event", "first_ms"): "the first row of the event has that time",
    ("event", "trap"): "for describing a trap that has no meaning yet",
    ("event", "name"): "for describing a trap that has no meaning yet",
    ("room", "parts"): "`text` says which part is at fault",
    ("room", "parts_down"): "`text` says which part is at fault",
    ("room", "parts_unmeasured"): "`text` says which part is not measured",
    ("room", "event"): "`event_text` has its times too",
    ("room", "at_event"): "`minutes_to_start` and `minutes_to_end` say it",
    ("site", "state"): "`urgency` and `state_text` say it",
    ("self_notify", "unauthorised"): "a count for metrics; the log names each one",
    ("self_notify", "refresh_failed"): "a count; `refresh_failing` says it of now",
    ("site_name", "devices"): "selectors read the tag; a row needs a field",
    ("alert", "until_ms"): "an alert that is over is an `incident`",
    ("alert", "explained_by"): "a key; `suppressed` says that it was held back",
    ("alert", "acknowledged"): "`acknowledged_by` says who",
    ("alert", "line"): "for webhooks and links",
    ("alert", "title"): "boards show the summary, which says more",
    ("incident", "title"): "boards show the summary, which says more",
    ("incident", "affected"): "boards show it while the alert is firing",
}


# Counts of single reasons: for metrics, and for the log.
_ODD_COUNTS = "a count for metrics"


def field_places(
    catalogue: Catalogue = CATALOGUE, rules: Iterable[Rule] | None = None
) -> Mapping[FieldName, tuple[str, ...]]:
    """Returns where each field is shown or used: boards, rules, the status page, the
    report, and what weights or groups are made of it. Empty if it is not."""
    places: dict[FieldName, dict[str, None]] = defaultdict(dict)
    for board in BOARDS:
        for panel in board.panels:
            for target in panel.targets:
                _note(places, (target.query,), board.title)
    _note(places, _page_queries(), "status page")
    _note(places, _report_queries(), "report")
    for name, by_rule in _rule_fields(
        load_rules(catalogue) if rules is None else rules
    ).items():
        is_short = len(by_rule) <= _MOST_NAMES
        shown = " and ".join(by_rule)
        places[name][f"rule {shown}" if is_short else counted(len(by_rule), "rule")] = (
            None
        )
    for name, weighted in _weights(catalogue).items():
        is_short = len(weighted) <= _MOST_NAMES
        shown = " and ".join(weighted)
        weight = f"weight of {shown if is_short else f'{len(weighted)} fields'}"
        places[name][weight] = None
    for kind, fields in VALUES.items():
        for field_name in fields:
            places[kind, field_name]["figures of groups"] = None
    for name, reader in _READ_BY.items():
        places[name][reader] = None
    return {
        (measurement.name, field.name): tuple(places[measurement.name, field.name])
        for measurement in catalogue
        for field in measurement.fields
    }


def reason(measurement: str, field: str, personal: bool) -> str:
    """Returns why a field is shown nowhere; empty if no reason is known. What is known
    of one laptop is kept for its support, whether or not a board shows it."""
    usual = _SUPPORT if personal else ""
    if measurement == "self_calls" and field.startswith("odd_"):
        usual = _ODD_COUNTS
    return NOT_SHOWN.get((measurement, field), usual)


def _note(
    places: Mapping[FieldName, dict[str, None]], queries: Iterable[Query], place: str
) -> None:
    for query in queries:
        for pick in query.picks:
            places[query.measurement, pick.field][place] = None


def _rule_fields(rules: Iterable[Rule]) -> dict[FieldName, list[str]]:
    fields: dict[FieldName, dict[str, None]] = defaultdict(dict)
    for rule in rules:
        for name in rule.field_windows:
            fields[rule.measurement, name][rule.id] = None
        for ended_by in rule.ended_by:
            fields[ended_by.measurement, ended_by.when.field][rule.id] = None
    return {name: list(ids) for name, ids in fields.items()}


def _weights(catalogue: Catalogue) -> dict[FieldName, list[str]]:
    weights: dict[FieldName, list[str]] = defaultdict(list)
    for measurement in catalogue:
        for field in measurement.fields:
            if field.weight:
                weights[measurement.name, field.weight].append(field.name)
    return weights


def _page_queries() -> Iterator[Query]:
    now_ms, site = 2 * _DAY_MS, "a"
    span, where = (0, now_ms), page_queries.of_site(site)
    yield page_queries.polls(now_ms)
    yield page_queries.earlier_polls(8 * _DAY_MS, (site,))
    yield page_queries.lines_now(now_ms)
    yield page_queries.line_traffic(span, site, _DAY_MS)
    yield page_queries.site_states(span, (site,), _DAY_MS)
    yield page_queries.ports_hour(now_ms, where)
    yield page_queries.sensors_now(now_ms, where)
    yield page_queries.inventory_now(now_ms, where)
    yield page_queries.wireless_now(now_ms, where)
    yield page_queries.findings_now(now_ms, where)
    yield page_queries.experience(now_ms)
    yield page_queries.group_calls(span, "all", (), _DAY_MS)
    yield page_queries.events(*span, where)
    yield page_queries.gateways_now(now_ms)
    yield page_queries.room_now(now_ms)
    yield page_queries.room_at(now_ms, "a")
    yield page_queries.room_figures(span, "a", _DAY_MS)
    yield page_queries.room_ports(span, "a", _DAY_MS)
    yield page_queries.teams_now(now_ms)
    yield device_queries.latest_poll(now_ms, "a")
    yield device_queries.answers(span, where, _DAY_MS)
    yield device_queries.identity(now_ms, "a")
    yield device_queries.ports(now_ms, "a")
    yield device_queries.neighbours(now_ms, "a")
    yield from device_queries.loads(now_ms, "a")
    yield device_queries.port_traffic(span, "a", "b", _DAY_MS)
    yield device_queries.port_sums(span, "a", "b")
    yield device_queries.port_now(now_ms, "a", "b")


def _report_queries() -> Iterator[Query]:
    span = (0, _DAY_MS)
    yield report_queries.line_hours(*span, ())
    yield report_queries.line_month(*span, ())
    yield report_queries.ports_use(*span, None)
    yield report_queries.ports_month(*span, None)
    yield report_queries.experience((span,))
    yield report_queries.groups_shown(*span)
    yield report_queries.gateway_month(*span)
    yield recorded_query(span)
    yield places_query((span,))
    yield phone_query(span)
    yield read_query(span)
    yield parity_query([span])
    yield answered_query([span], None)
    yield polling_periods(*span)
    yield laptops_query(*span)
