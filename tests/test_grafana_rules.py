"""The alert rules exported to Grafana."""

from __future__ import annotations

import json

import pytest
import yaml
from grafana_files import (
    RULES,
    all_panels,
    grafana_alerting,
    grafana_dashboards,
    grafana_texts,
)

from dashboards.grafana import GrafanaConfig, render_files
from dashboards.grafana.grafana_rules import WATCHDOG_UID


@pytest.mark.parametrize("target", [9, 10, 11, 12, 13])
def test_rules_use_only_settings_that_the_target_version_knows(target: int) -> None:
    document = grafana_alerting(target=target, contact_email="noc@example.org")
    text = json.dumps(document)
    assert ("KeepLast" in text) == (target >= 12)
    assert ("notification_settings" in text) == (target >= 11)
    source = grafana_texts(target=target)["provisioning/datasources/towpath.yaml"]
    assert ("prune" in source) == (target >= 12)
    for group in document["groups"]:
        assert int(group["interval"].rstrip("s")) % 10 == 0
        for rule in group["rules"]:
            assert rule["noDataState"] in ("NoData", "Alerting", "OK")
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


def test_a_rule_links_to_a_panel_that_exists() -> None:
    ids = {
        document["uid"]: {panel["id"] for panel in all_panels(document)}
        for document in grafana_dashboards().values()
    }
    linked = 0
    for group in grafana_alerting()["groups"]:
        for rule in group["rules"]:
            if "dashboardUid" in rule:
                linked += 1
                assert rule["panelId"] in ids[rule["dashboardUid"]]
    assert linked >= 8


def test_rules_that_grafana_cannot_express_are_listed_with_the_reason() -> None:
    texts, omitted = render_files(GrafanaConfig(), RULES)
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
