"""The alert rules exported to Grafana."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from grafana_files import (
    RULES,
    all_panels,
    grafana_alerting,
    grafana_dashboards,
    grafana_texts,
)

from alerts.alert_text import value_unit
from alerts.rule import Rule
from collectors.server_measurements import CATALOGUE
from collectors.store.influxql_parser import parse
from collectors.store.influxql_reader import read_select
from collectors.store.influxql_syntax import Select
from dashboards.grafana import BOARDS, render_files
from dashboards.grafana.classic import panel_ids
from dashboards.grafana.grafana_rules import WATCHDOG_UID
from dashboards.grafana.provisioning import datasources
from dashboards.grafana.rule_panels import fields_read, panel_of
from dashboards.grafana_config import GrafanaConfig


@pytest.mark.parametrize("target", [9, 10, 11, 12, 13])
def test_rules_use_only_settings_that_the_target_version_knows(target: int) -> None:
    document = grafana_alerting(target=target, contact_email="noc@example.org")
    text = json.dumps(document)
    assert ("KeepLast" in text) == (target >= 12)
    assert ("notification_settings" in text) == (target >= 11)
    assert ("prune" in datasources(GrafanaConfig(target=target))) == (target >= 12)
    for group in document["groups"]:
        assert int(group["interval"].rstrip("s")) % 10 == 0
        for rule in group["rules"]:
            assert rule["noDataState"] in ("NoData", "Alerting", "OK", "KeepLast")
            assert rule["execErrState"] in ("Error", "Alerting", "OK", "KeepLast")
            assert len(rule["uid"]) <= 40
            refs = [part["refId"] for part in rule["data"]]
            assert rule["condition"] in refs
            assert len(refs) == len(set(refs))
            for words in (rule["labels"], rule["annotations"]):
                assert "$" not in json.dumps(words)


def test_all_rules_except_the_watchdog_are_paused_and_notify_nobody() -> None:
    for config in ({}, {"contact_webhook": "https://hook.example", "target": 12}):
        for group in grafana_alerting(**config)["groups"]:
            for rule in group["rules"]:
                watching = rule["uid"] == WATCHDOG_UID
                assert rule["isPaused"] is not watching
                assert ("notification_settings" in rule) == (watching and bool(config))
    assert "provisioning/alerting/towpath-contact.yaml" not in grafana_texts()
    assert not any(
        "policies" in text for text in grafana_texts(contact_email="a@b.c").values()
    )


def test_no_data_from_towpath_itself_is_an_alert() -> None:
    watching = next(
        rule
        for group in grafana_alerting()["groups"]
        for rule in group["rules"]
        if rule["uid"] == WATCHDOG_UID
    )
    assert watching["noDataState"] == "Alerting"
    assert watching["execErrState"] == "Alerting"
    assert watching["dashboardUid"] == "towpath-itself"


def test_no_exported_rule_reports_devices_down_while_towpath_is_cut_off() -> None:
    rules = {
        rule["labels"].get("rule"): rule
        for group in grafana_alerting()["groups"]
        for rule in group["rules"]
    }
    for name in ("device_unreachable", "vpn_gateway_down"):
        parts = {part["refId"]: part["model"] for part in rules[name]["data"]}
        assert parts["C"]["expression"] == "$B1 < 1 && $P < 1"
        assert 'min("cut_off")' in parts["O"]["query"]
        assert '"self_poll"' in parts["O"]["query"]
    assert "O" not in {part["refId"] for part in rules["line_down"]["data"]}


def exported_rules(**config: Any) -> list[tuple[Rule, dict[str, Any]]]:
    """Each rule that is exported, and what Grafana is given of it."""
    ours = {rule.id: rule for rule in RULES}
    return [
        (ours[rule["labels"]["rule"]], rule)
        for group in grafana_alerting(**config)["groups"]
        for rule in group["rules"]
        if "rule" in rule["labels"]
    ]


def test_every_exported_rule_links_to_a_panel_of_its_measurement() -> None:
    panels = {
        (document["uid"], panel["id"]): panel
        for document in grafana_dashboards().values()
        for panel in all_panels(document)
    }
    shared = {board.uid for board in BOARDS if not board.personal}
    on_boards = " ".join(
        target["query"]
        for (uid, _), panel in panels.items()
        for target in panel.get("targets", ())
        if uid in shared
    )
    for rule, exported in exported_rules():
        if "dashboardUid" not in exported:
            assert f'"{rule.measurement}"' not in on_boards, rule.id
            continue
        panel = panels[exported["dashboardUid"], exported["panelId"]]
        assert exported["dashboardUid"] in shared
        queries = " ".join(target["query"] for target in panel["targets"])
        names = {rule.measurement}
        if rule.measurement == "device":
            names.add("self_poll")
        assert any(f'"{name}' in queries for name in names), rule.id


def shown(template: str, values: dict[str, float], labels: dict[str, str]) -> str:
    """What Go's templates make of the few functions that the texts use."""

    def value(match: re.Match[str]) -> str:
        function, digits, ref = match["function"], match["digits"], match["ref"]
        if function == "printf":
            return format(values[ref], digits)
        return f"<{function} {values[ref]:g}>"

    text = re.sub(
        r'\{\{ (?P<function>\w+) (?:"%(?P<digits>[^"]+)" )?'
        r'\(index \.Values "(?P<ref>\w+)"\)\.Value \}\}',
        value,
        template,
    )
    text = re.sub(r"\{\{ \.Labels\.(\w+) \}\}", lambda m: labels[m[1]], text)
    assert "{{" not in text, text
    return text


def test_messages_are_words_with_units() -> None:
    """`87 %`, not `0.87`; labels are the device and the site."""
    summaries = {
        rule.id: exported["annotations"]["summary"]
        for rule, exported in exported_rules()
    }
    labels = {"site": "hall", "group": "hall", "gateway": "vpn1", "process": "poll"}
    values = {"V": 87.0}
    assert "87 %" in shown(summaries["line_full_down"], values, labels)
    assert shown(summaries["wifi_weak_site"], {"V": 12.3456}, labels) == (
        "12.3 % of Wi-Fi readings at hall are too weak for calls"
    )
    assert shown(summaries["certificate_expiring"], {"V": 13.0}, labels) == (
        "The certificate of vpn1 expires in 13 days"
    )
    assert shown(summaries["polls_late"], {"V": 5200.0}, labels) == (
        "Polls of poll start 5200 ms late"
    )


def test_the_value_of_a_message_is_in_the_unit_of_its_words() -> None:
    for rule, exported in exported_rules():
        nodes = {node["refId"]: node["model"] for node in exported["data"]}
        is_share = value_unit(rule) == "ratio"
        assert nodes["V"]["expression"] == ("$B1 * 100" if is_share else "$B1 * 1")
        for text in exported["annotations"].values():
            for ref, unit in re.findall(
                r'index \.Values "(\w+)"\)\.Value }}(.{0,2})', text
            ):
                assert ref == "V", rule.id
                assert (unit == " %") == is_share, rule.id


def test_the_queries_of_rules_can_be_asked_of_the_embedded_store() -> None:
    for rule, exported in exported_rules():
        for node in exported["data"]:
            if node["datasourceUid"] == "__expr__":
                continue
            text = node["model"]["query"].replace("$timeFilter", "time >= 0ms")
            (statement,) = parse(text)
            assert isinstance(statement, Select)
            query = read_select(statement, CATALOGUE, 1_790_000_000_000).query
            assert query.measurement in (rule.measurement, "self_poll")


def test_rules_that_grafana_cannot_express_are_listed_with_the_reason() -> None:
    texts, omitted = render_files(GrafanaConfig(), RULES)
    written = yaml.safe_load(texts["provisioning/alerting/towpath-rules.yaml"])
    assert written == grafana_alerting()
    text = texts["provisioning/alerting/towpath-rules.yaml"]
    omitted_rules = {omission.rule for omission in omitted}
    assert omitted_rules >= {"monitor_blind", "on_backup_line"}
    for omission in omitted:
        assert f"# Not here: {omission.rule}: {omission.why}." in text
    exported = {
        rule["labels"]["rule"]
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "rule" in rule["labels"]
    }
    assert exported | omitted_rules == {rule.id for rule in RULES}


@pytest.mark.parametrize(
    ("rule", "board", "title"),
    [
        # Over time, by the rule's own field.
        ("port_down", "towpath-port", "When was it down?"),
        ("device_unreachable", "towpath-site", "When did devices not answer?"),
        ("on_backup_line", "towpath-site", "When did a backup line carry traffic?"),
        # The field of its first condition, and not of its others.
        ("sensor_critical", "towpath-switch", "Which parts report a fault?"),
        # What the rule shows: the text of the finding.
        ("device_finding", "towpath-switch", "What is to be put right?"),
        # The time of the alert, and not the last hour.
        ("device_restarted", "towpath-site", "Which devices answer badly?"),
        # A table rather than one figure.
        ("disk_full", "towpath-itself", "How much room is left?"),
        # A panel of other rows with the field, rather than one of its rows without.
        ("names_fail_everywhere", "towpath-remote", "Are names found?"),
        # The lines of the supplier, and not those of one site.
        ("supplier_outage", "towpath-wan", "When were lines down?"),
    ],
)
def test_an_alert_leads_to_the_panel_that_shows_most_of_it(
    rule: str, board: str, title: str
) -> None:
    found = panel_of(next(one for one in RULES if one.id == rule), BOARDS)
    numbers = {(b.uid, n): t for b in BOARDS for t, n in panel_ids(b).items()}
    assert found is not None
    assert (found[0], numbers[found]) == (board, title)


# Rules that are about what sends no rows at all: when it was cut off shows since when.
_WITHOUT_A_FIELD = {"monitor_blind", "monitor_cut_off", "poller_silent"}


def test_the_panel_of_an_alert_shows_what_its_rule_reads() -> None:
    panels = {
        (board.uid, number): panel
        for board in BOARDS
        for panel in board.panels
        if (number := panel_ids(board).get(panel.title)) is not None
    }
    for rule in RULES:
        found = panel_of(rule, BOARDS)
        assert found is not None, rule.id
        shown = {
            (pick.field, target.query.measurement)
            for target in panels[found].targets
            for pick in target.query.picks
        }
        assert _reads(rule, shown), rule.id


def _reads(rule: Rule, shown: set[tuple[str, str]]) -> bool:
    """Whether the rule reads one of the fields that are shown."""
    if rule.id in _WITHOUT_A_FIELD:
        return shown == {("cut_off", "self_poll")}
    if rule.id == "capture_silent":
        return shown == {("drop_ratio", "rtp_capture")}
    read = fields_read(rule)
    # A function decides by all its fields together, a condition by one.
    names = read[0] if rule.when else set.union(*read)
    return bool({(name, rule.measurement) for name in names} & shown)
