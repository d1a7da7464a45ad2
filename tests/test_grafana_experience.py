"""The boards about people's experience: remote working, call quality and VPN, with rows
whose figures are known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_asks import END_MS, SERVERS, Influx, filled, running_influx
from grafana_files import RULES, all_panels, grafana_dashboard
from shown_rows import panel_document, shown_rows

from collectors.experience.group_figures import (
    MEASURED,
    NO_CALL_SUCCEEDED,
    TOO_FEW_LAPTOPS,
)
from dashboards.figure_text import CAUSES
from dashboards.grafana import BOARDS
from dashboards.grafana.rule_panels import panel_of
from probes.wire.sample import Sample, Value

HOUR_MS, MINUTES_5_MS, MINUTE_MS = 3_600_000, 300_000, 60_000
EXPERIENCE = ("towpath-remote", "towpath-calls", "towpath-vpn")
PROVIDERS = 30
# Few calls in half of the windows, all poor ones among them; many in the others.
FEW, MANY = (10, 0.5), (90, 0.0)
POOR = (10 * 0.5 + 90 * 0.0) / 100


def _group(by: str, group: str, at_ms: int, **fields: Value) -> Sample:
    return Sample("experience", {"by": by, "group": group}, fields, at_ms)


def _calls(calls: int, poor: float, **more: Value) -> dict[str, Value]:
    """The fields of a group whose calls have figures, or all failed."""
    fields: dict[str, Value] = {
        "agents": 20,
        "calls": calls,
        "calls_once": calls / 3,
        "call_poor_ratio": poor,
        "judged_laptops": 20,
        "cause_wifi_ratio": poor * 0.75,
        "cause_line_ratio": poor * 0.25,
        "mostly": "the Wi-Fi",
        "call_tests": NO_CALL_SUCCEEDED if poor == 1 else MEASURED,
    }
    if poor < 1:
        fields["mos_estimated_p50"] = 4.4 - 2 * poor
    return fields | more


def _groups() -> Iterator[Sample]:
    for n, at in enumerate(range(END_MS - HOUR_MS, END_MS, MINUTES_5_MS)):
        calls = _calls(*(FEW if n % 2 else MANY))
        yield _group("place", "home", at, **calls, vpn_laptops=15, vpn_up_ratio=0.8)
        yield _group("place", "office", at, **_calls(30, 1.0))
        few: dict[str, Value] = {"agents": 10, "call_tests": TOO_FEW_LAPTOPS}
        yield _group("place", "elsewhere", at, **few)
        for provider in range(PROVIDERS):
            fields = _calls(20, provider / 100)
            yield _group("provider", f"Provider {provider:02}", at, **fields)
        for vpn, added in (("GlobalProtect", 70.0), ("Cisco's VPN", 5.0)):
            tunnel: dict[str, Value] = {
                "tunnel_checks": 20,
                "tunnel_added_p50_ms": added,
            }
            yield _group("vpn", vpn, at, **_calls(20, 0.02), **tunnel)
        yield _group("vpn", "down", at, **_calls(20, 0.01))


def _history() -> Iterator[Sample]:
    """Ten days of all laptops: in each hour one window with few calls and one with
    many."""
    for at in range(END_MS - 10 * 24 * HOUR_MS, END_MS, HOUR_MS):
        yield _group("all", "all", at, **_calls(*FEW))
        yield _group("all", "all", at + HOUR_MS // 2, **_calls(*MANY))


def _gateways() -> Iterator[Sample]:
    for n, at in enumerate(range(END_MS - HOUR_MS, END_MS, MINUTE_MS)):
        for gateway, fails in (("vpn-1", False), ("vpn-2", n >= 50)):
            fields: dict[str, Value] = {
                "name": f"Gateway “{gateway}”",
                "up": int(not fails),
                "answered": int(not fails),
                "outcome": "timeout" if fails else "ok",
                "certificate_days": 20.5 if gateway == "vpn-1" else 90.0,
            }
            if not fails:
                fields |= {"connect_ms": 10.0, "tls_ms": 30.0}
            tags = {"gateway": gateway, "site": "hall"}
            yield Sample("vpn_gateway", tags, fields, at)


def _sessions() -> Iterator[Sample]:
    tags = {"device": "fw-1", "site": "hall", "role": "firewall", "class": "count"}
    for at in range(END_MS - HOUR_MS, END_MS, MINUTES_5_MS):
        peak = at < END_MS - HOUR_MS // 2
        for sensor, value, high in (
            ("GlobalProtect tunnels", 450.0 if peak else 300.0, 500.0),
            ("IPsec tunnels up", 12.0, None),
            ("TCP sessions", 9e5, 1e6),
        ):
            fields: dict[str, Value] = {"value": value}
            if high is not None:
                fields["high"] = high
            yield Sample("sensor", {**tags, "sensor": sensor}, fields, at)


@pytest.fixture(scope="module", params=SERVERS)
def influx(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Influx]:
    folder = tmp_path_factory.mktemp("influx")
    with running_influx(request.param, folder) as database:
        rows = [*_groups(), *_history(), *_gateways(), *_sessions()]
        asyncio.run(database.write(rows))
        yield database


def _by_group(influx: Influx, board: str, title: str, **chosen: str) -> dict[str, Any]:
    rows = shown_rows(influx, board, title, {"group": ".*", **chosen})
    groups = {row["group"]: row for row in rows}
    assert len(groups) == len(rows)
    return groups


def _lines(
    influx: Influx,
    board: str,
    title: str,
    seconds: int = 3600,
    interval: str = "5m",
    **chosen: str,
) -> list[Any]:
    query = panel_document(board, title)["targets"][0]["query"]
    return influx.ask(filled(query, chosen, seconds, interval), "towpath")


def _worst(influx: Influx, board: str, variable: str, **chosen: str) -> str:
    """What a hidden variable of the worst puts into a query."""
    [found] = [
        known
        for candidate in BOARDS
        if candidate.uid == board
        for known in candidate.variables
        if known.name == variable
    ]
    answer = influx.ask(filled(found.query(), chosen), "towpath")
    values = [str(row[1]) for series in answer for row in series["values"]]
    return f"({'|'.join(values)})"


@pytest.mark.service
def test_a_share_of_poor_calls_counts_each_window_by_its_calls(influx: Influx) -> None:
    for board, title, chosen in (
        ("towpath-remote", "Is it as good at home as in the office?", {}),
        ("towpath-calls", "Which groups have poor calls?", {"by": "place"}),
    ):
        home = _by_group(influx, board, title, **chosen)["home"]
        assert home["call_poor_ratio_mean"] == pytest.approx(POOR)
        # Of overlapping windows each call counts once.
        assert home["calls_once_sum"] == pytest.approx(6 * (10 + 90) / 3)
        assert home["agents_max"] == 20


@pytest.mark.service
def test_failed_measured_and_too_few_are_told_apart_and_the_worst_is_first(
    influx: Influx,
) -> None:
    places = _by_group(
        influx, "towpath-remote", "Is it as good at home as in the office?"
    )
    assert list(places) == ["office", "home", "elsewhere"]
    assert {name: row["call_tests_last"] for name, row in places.items()} == {
        "office": NO_CALL_SUCCEEDED,
        "home": MEASURED,
        "elsewhere": TOO_FEW_LAPTOPS,
    }
    assert places["office"]["call_poor_ratio_mean"] == 1
    assert places["office"]["mos_estimated_p50_mean"] is None
    assert places["elsewhere"]["call_poor_ratio_mean"] is None


@pytest.mark.service
def test_graphs_of_many_groups_draw_the_eight_worst(influx: Influx) -> None:
    worst = {f"Provider {n:02}" for n in range(PROVIDERS - 8, PROVIDERS)}
    chosen = {
        "worst_providers": _worst(influx, "towpath-remote", "worst_providers"),
    }
    title = "When were calls poor, and through which provider?"
    lines = _lines(influx, "towpath-remote", title, **chosen)
    assert {line["tags"]["group"] for line in lines} == worst
    groups = {"by": "provider", "group": ".*"}
    groups["worst_groups"] = _worst(influx, "towpath-calls", "worst_groups", **groups)
    lines = _lines(influx, "towpath-calls", "When were calls poor?", **groups)
    assert {line["tags"]["group"] for line in lines} == worst
    bars = _by_group(
        influx, "towpath-calls", "Where do poor calls fail, by group?", by="provider"
    )
    assert list(bars)[:8] == sorted(worst, reverse=True)
    assert len(bars) == 12
    top = bars["Provider 29"]
    assert top["cause_wifi_ratio_mean"] == pytest.approx(0.29 * 0.75)


@pytest.mark.service
@pytest.mark.parametrize(("days", "interval"), [(1, "5m"), (10, "2h")])
def test_shares_over_ten_days_are_weighted_as_those_of_a_day(
    influx: Influx, days: int, interval: str
) -> None:
    title = "When were calls poor everywhere?"
    query = panel_document("towpath-calls", title)["targets"][0]["query"]
    assert '"experience_1h"' in query
    seconds = days * 86_400
    (line,) = _lines(influx, "towpath-calls", title, seconds, interval)
    values = [value for _, value in line["values"] if value is not None]
    if days == 1:
        assert {0.0, 0.5} == set(values)
        return
    # The first and the last bucket may have only one of two windows.
    assert values[1:-1] == pytest.approx([POOR] * (len(values) - 2))
    assert len(values) >= 10 * 12


@pytest.mark.service
def test_causes_over_time_have_a_line_each_that_is_weighted_by_laptops(
    influx: Influx,
) -> None:
    title = "When did calls from home fail, and where?"
    panel = panel_document("towpath-remote", title)
    names = {target["alias"]: target["query"] for target in panel["targets"]}
    assert list(names) == list(CAUSES.values())
    for name, share in (("Wi-Fi", 0.75), ("Line", 0.25)):
        query = filled(names[name], {}, 3600, "10m")
        (line,) = influx.ask(query, "towpath")
        values = [value for _, value in line["values"] if value is not None]
        # As many laptops in each window.
        assert values[1:-1] == pytest.approx([0.5 * share / 2] * (len(values) - 2))
    assert not influx.ask(filled(names["Provider"], {}, 3600, "10m"), "towpath")


def test_lines_of_our_own_groups_have_words_and_bars_no_settings_of_tables() -> None:
    panel = panel_document(
        "towpath-remote", "When were calls poor, by Wi-Fi, cable or mobile network?"
    )
    texts = {
        override["matcher"]["options"]: override["properties"][0]["value"]
        for override in panel["fieldConfig"]["overrides"]
    }
    assert (texts["wired"], texts["wifi"]) == ("Cable", "Wi-Fi")
    bars = panel_document("towpath-remote", "Where do poor calls fail, by place?")
    colours = {}
    for override in bars["fieldConfig"]["overrides"]:
        settings = {item["id"]: item["value"] for item in override["properties"]}
        assert not settings.keys() & {"custom.cellOptions", "custom.width"}
        if "thresholds" in settings:
            [step] = settings["thresholds"]["steps"]
            colours[override["matcher"]["options"]] = step["color"]
    shares = {text: colours[text] for text in CAUSES.values()}
    assert len(set(shares.values())) == len(CAUSES)
    # The share of poor calls is there for the order only.
    hidden = next(
        override
        for override in bars["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == "Poor calls"
    )
    assert {"viz": True}.items() <= next(
        item["value"].items()
        for item in hidden["properties"]
        if item["id"] == "custom.hideFrom"
    )


@pytest.mark.service
def test_a_gateway_that_does_not_answer_is_first_and_red(influx: Influx) -> None:
    gateways = {"gateway": ".*"}
    tiles = shown_rows(influx, "towpath-vpn", "Does each VPN gateway answer?", gateways)
    assert [(tile["gateway"], tile["up_last"]) for tile in tiles] == [
        ("vpn-2", 0),
        ("vpn-1", 1),
    ]
    title = "How well does each gateway answer?"
    rows = shown_rows(influx, "towpath-vpn", title, gateways)
    assert [row["gateway"] for row in rows] == ["vpn-2", "vpn-1"]
    assert rows[0]["answered_mean"] == pytest.approx(50 / 60)
    assert rows[0]["outcome_last"] == "timeout"
    assert rows[1]["certificate_days_last"] == 20.5
    (line, *_) = _lines(
        influx, "towpath-vpn", "When did gateways not answer?", gateway="vpn-2"
    )
    assert {0, 1} == {value for _, value in line["values"] if value is not None}


@pytest.mark.service
def test_laptops_in_offices_are_no_vpns_that_are_down(influx: Influx) -> None:
    lines = _lines(influx, "towpath-vpn", "When was the VPN up, at home and elsewhere?")
    shares = {
        line["tags"]["group"]: {v for _, v in line["values"] if v is not None}
        for line in lines
    }
    assert shares.pop("home") == {0.8}
    assert not any(shares.values())


@pytest.mark.service
def test_the_vpn_that_adds_most_delay_is_drawn_with_the_limits_of_the_rule(
    influx: Influx,
) -> None:
    title = "Which VPN adds delay?"
    vpns = _worst(influx, "towpath-vpn", "slowest_vpns")
    lines = _lines(influx, "towpath-vpn", title, slowest_vpns=vpns)
    added = {
        line["tags"]["group"]: max(v for _, v in line["values"] if v is not None)
        for line in lines
        if any(v is not None for _, v in line["values"])
    }
    assert added == {"GlobalProtect": 70.0, "Cisco's VPN": 5.0}
    [rule] = [rule for rule in RULES if rule.id == "vpn_slow"]
    steps = panel_document("towpath-vpn", title)["fieldConfig"]["defaults"]
    values = [step["value"] for step in steps["thresholds"]["steps"]]
    assert values == [None, rule.when[0].clear, rule.when[0].threshold]


@pytest.mark.service
def test_vpn_sessions_are_counted_against_their_limit_and_other_sessions_are_not(
    influx: Influx,
) -> None:
    title = "How many VPN sessions are left?"
    tunnels, ipsec = shown_rows(influx, "towpath-vpn", title, {})
    assert tunnels["sensor"] == "GlobalProtect tunnels"
    assert (tunnels["value_last"], tunnels["value_max"]) == (300.0, 450.0)
    assert tunnels["used"] == pytest.approx(0.9)
    assert (ipsec["sensor"], ipsec["used"]) == ("IPsec tunnels up", None)


def _title_of(rule_id: str) -> tuple[str, str]:
    """The board and the title of the panel to which an alert leads."""
    [rule] = [rule for rule in RULES if rule.id == rule_id]
    address = panel_of(rule, BOARDS)
    assert address is not None
    board, number = address
    document = grafana_dashboard(board)
    [title] = [p["title"] for p in all_panels(document) if p["id"] == number]
    return board, title


@pytest.mark.parametrize(
    ("rule", "board", "title"),
    [
        ("calls_poor_everywhere", "towpath-calls", "When were calls poor everywhere?"),
        ("calls_poor_site", "towpath-site", "How many calls are poor?"),
        (
            "calls_poor_provider",
            "towpath-remote",
            "When were calls poor, and through which provider?",
        ),
        (
            "vpn_slow_everywhere",
            "towpath-vpn",
            "When did the VPN add delay for everybody?",
        ),
        ("vpn_slow", "towpath-vpn", "Which VPN adds delay?"),
        ("vpn_gateway_down", "towpath-vpn", "When did gateways not answer?"),
        (
            "certificate_expiring",
            "towpath-vpn",
            "When does the next certificate expire?",
        ),
    ],
)
def test_an_alert_leads_to_the_panel_of_its_own_groups(
    rule: str, board: str, title: str
) -> None:
    assert _title_of(rule) == (board, title)


@pytest.mark.parametrize("uid", EXPERIENCE)
def test_a_board_of_experience_takes_few_queries_and_draws_few_lines(uid: str) -> None:
    [board] = [board for board in BOARDS if board.uid == uid]
    panels = [p for row in board.rows if not row.collapsed for p in row.panels]
    assert sum(len(panel.targets) for panel in panels) <= 25
    busiest = {variable.name for variable in board.variables if variable.influxql}
    graphs = [panel for panel in board.panels if panel.kind == "timeseries"]
    for panel, target in ((p, target) for p in graphs for target in p.targets):
        fixed = {where.tag: where.values for where in target.query.where}
        if "group" in target.query.group_by:
            few = (("place",), ("all", "place"), ("connection",))
            is_of_few = fixed.get("by") in few
            assert is_of_few or target.variables["group"] in busiest, panel.title
