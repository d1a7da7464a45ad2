"""Texts of rules, with real labels, with none, and in general: no fill-in is left over,
none is missing, and what they send people to is there."""

from __future__ import annotations

import itertools
import re

import pytest
from documents import council_settings

from alerts.alert_text import GENERIC_VALUES, alert_from_state, placeholder_values
from alerts.estate_index import EstateIndex
from alerts.evaluation.alert_states import AlertState
from alerts.notify import build_page
from alerts.rule import PLACEHOLDERS, Rule, allowed_placeholders, placeholders
from alerts.rule_files import Rules, load_rules
from alerts.window import Window
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE
from dashboards.grafana.boards import BOARDS
from probes.wire.sample import Value
from towpath.doc_pages import rules_table

NOW_MS = 1_777_888_800_000
RULES = load_rules(CATALOGUE)
FULL = Estate.model_validate(
    {
        "sites": [{"id": "library", "name": "Central Library"}],
        "devices": [
            {
                "id": "core-1",
                "name": "Core 1",
                "site": "library",
                "address": "10.0.0.1",
            },
            {
                "id": "sw-2",
                "name": "Switch 2",
                "site": "library",
                "address": "10.0.0.2",
                "parent": "core-1",
            },
        ],
        "lines": [
            {
                "id": "library-wan",
                "site": "library",
                "supplier": "Severn Telecom",
                "supplier_phone": "01632 960047",
                "support_hours": "24 hours",
                "circuit_ref": "WB-0047",
                "down_mbps": 100,
                "up_mbps": 100,
                "device": "core-1",
                "port": "Gi1",
            }
        ],
        "teams": [{"id": "contact-centre", "name": "Contact centre"}],
        "rooms": [
            {
                "id": "chamber",
                "name": "Council chamber",
                "site": "library",
                "ports": ["sw-2 Gi1/0/7"],
            }
        ],
        "vpn_gateways": [
            {"id": "vpn-1", "name": "Main VPN", "host": "vpn.example.gov.uk"}
        ],
    }
)
# The smallest estate that is allowed.
BARE = Estate.model_validate(
    {
        "sites": [{"id": "library", "name": "library"}],
        "devices": [
            {"id": "core-1", "site": "library", "address": "10.0.0.1"},
            {"id": "sw-2", "site": "library", "address": "10.0.0.2"},
        ],
        "lines": [
            {
                "id": "library-wan",
                "site": "library",
                "down_mbps": 1,
                "up_mbps": 1,
                "device": "core-1",
                "port": "Gi1",
            }
        ],
        "teams": [{"id": "contact-centre"}],
        "rooms": [{"id": "chamber", "site": "library", "devices": ["sw-2"]}],
        "vpn_gateways": [{"id": "vpn-1", "host": "vpn.example.gov.uk"}],
    }
)
LABELS = {
    "about": "PS2",
    "by": "provider",
    "channel": "on_call",
    "class": "temperature",
    "device": "sw-2",
    "event": "fan_failed",
    "finding": "short_counters",
    "folder": "state",
    "from_subnet": "10.20.1.0/24",
    "gateway": "vpn-1",
    "group": "Example Broadband",
    "home_site": "library",
    "interface": "eth1",
    "line": "library-wan",
    "supplier": "Severn Telecom",
    "operation": "to the data centre",
    "pool": "Processor",
    "port": "Gi1/0/7",
    "process": "all",
    "node": "outside",
    "processor": "CPU 1",
    "radio": "Radio 1",
    "room": "chamber",
    "reader": "store",
    "sensor": "Inlet",
    "setting": "ingest.https.certificate",
    "site": "library",
    "stream": "towpath-poll",
    "team": "contact-centre",
    "to_subnet": "10.9.0.5/32",
    "volume": "/var/log",
}
SHOWN: dict[str, Value] = {
    "event_text": "Planning committee, 14:00 to 16:00",
    "expected_why": "uplink",
    "file": "/etc/towpath/server.pem",
    "mostly": "the provider's network",
    "outcome": "timeout",
    "sense": "timeout",
    "state": "overheated",
    "state_text": "the secret has expired",
    "stream_text": "no new segment for 45 s",
    "text": "Fan 2 has stopped",
}


def said(
    rule: Rule, estate: Estate, shows: dict[str, Value], value: float | None
) -> str:
    """All texts of a page of `rule`."""
    entry = AlertState(
        rule=rule.id,
        subject={tag: LABELS[tag] for tag in rule.subject},
        site="library",
        state="firing",
        since_ms=NOW_MS,
        bad_ms=NOW_MS,
        newest_ms=NOW_MS,
        value=value,
        shows={name: shows[name] for name in rule.shows if name in shows},
        firing_ms=NOW_MS,
    )
    window = Window(Rules([rule]), CATALOGUE, NOW_MS)
    alert = alert_from_state(
        entry, {entry.key: entry}, RULES, window, EstateIndex(estate)
    )
    page = build_page([alert], "page", [entry.episode], NOW_MS)
    return "\n".join((alert.summary, alert.cause, alert.runbook, page.text))


def wrong_in(text: str) -> list[str]:
    """What no sentence that a person wrote has in it."""
    signs = (
        r"[{}]",
        r"\(\s*\)",
        r"(?:^|\s)-(?:[\s.,;]|$)(?!\n?Sent)",
        r"[:(]\s*[.)]",
        r"\s[.,;]",
        r"[^\S\n]{2,}",
        r"\bNone\b",
        r"\bit it\b",
        r"\bthe the\b",
    )
    body = text.replace("\n-- \n", "\n")
    return [found[0] for sign in signs for found in re.finditer(sign, body, re.M)]


@pytest.mark.parametrize("estate", [FULL, BARE], ids=["full", "bare"])
def test_every_page_reads_well_whatever_is_known(estate: Estate) -> None:
    known: list[tuple[dict[str, Value], float | None]] = [(SHOWN, 0.5), ({}, None)]
    for rule, (shows, value) in itertools.product(RULES, known):
        text = said(rule, estate, shows, value)
        assert wrong_in(text) == [], text
        if shows and estate is FULL:
            # With everything known, no general text is used.
            general = [
                word
                for name, word in GENERIC_VALUES.items()
                if name not in ("group", "process")
                and word in text
                and word not in rule.summary + rule.cause + rule.runbook
            ]
            assert general == [], text


@pytest.mark.parametrize(
    ("process", "says"),
    [
        ("all", "Towpath does not receive traps"),
        ("poll", "Towpath's poll role does not receive traps"),
        ("poll-web", "Towpath (poll, web) does not receive traps"),
        ("poll+depot-1", "Towpath's poll role at depot-1 does not receive traps"),
    ],
)
def test_a_process_is_called_by_what_it_does(
    process: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LABELS, "process", process)
    rule = RULES.find("traps_not_heard", "")
    assert rule is not None
    assert said(rule, FULL, {}, None).startswith(says)


def test_an_event_without_words_is_called_by_its_rule() -> None:
    rule = RULES.find("power_supply_failed", "")
    assert rule is not None
    assert said(rule, FULL, {}, 1.0).startswith(
        "Switch 2 at Central Library: Power supply failed"
    )


def test_the_words_check_finds_what_is_wrong() -> None:
    for bad in ("Look at {sensor}", "is critical ()", "on battery: -", "of its , now"):
        assert wrong_in(bad)


def test_every_fill_in_has_words_for_lists_and_belongs_to_its_rule() -> None:
    for rule in RULES:
        for text in (rule.summary, rule.cause, rule.runbook):
            for name in placeholders(text):
                assert name in GENERIC_VALUES, (rule.id, name)
                assert name in allowed_placeholders(rule), (rule.id, name)
    assert set(PLACEHOLDERS) <= set(GENERIC_VALUES)


def test_the_table_for_on_call_staff_has_no_fill_in_left_or_bare() -> None:
    table = rules_table(RULES)
    assert wrong_in(table.replace("|---|---|---|---|---|", "").replace("| ", "|")) == []
    # "Look at sensor on the Switch board": a tag where a thing should be named.
    bare = {*LABELS, *PLACEHOLDERS, *SHOWN} - {"class", "text", "port", "value"}
    for row in table.splitlines()[2:]:
        for name in re.findall(r"\b(?:at|of|on|circuit|see) ([a-z_]+)\b", row):
            assert name not in bare, row


def test_boards_panels_and_settings_that_rules_name_are_there() -> None:
    text = " ".join(f"{rule.cause} {rule.runbook}" for rule in RULES)
    boards = {board.title for board in BOARDS}
    named = set(re.findall(r"(?:the|the same) ([A-Z][\w ]*?) board\b", text))
    assert named
    assert named <= boards
    known = {name for name, _ in council_settings()}
    for name in re.findall(r"`((?:snmp|journal|traps)\.\w+)", text):
        assert name in known, name


def test_keys_of_closed_lists_are_words_and_names_are_left_as_they_are() -> None:
    state = AlertState(
        "device_unreadable",
        {"device": "core_1"},
        "hall",
        "firing",
        0,
        0,
        0,
        shows={"outcome": "budget_spent", "text": "fan_1 is off"},
    )
    values = placeholder_values(state, None, EstateIndex(Estate()))
    assert values["outcome"] == "budget spent"
    assert (values["device"], values["text"]) == ("core_1", "fan_1 is off")
