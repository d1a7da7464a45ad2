"""Rules are read strictly, and every one is proved by a recording that fires it and one
that does not."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from alerts import alert_commands, recording
from alerts.estate_index import EstateIndex
from alerts.rule_files import RuleError, Rules, load_rule_files, load_rules
from collectors.estate.estate_model import Estate
from collectors.server_measurements import CATALOGUE

RECORDINGS = sorted((Path(__file__).parent / "data" / "rules").glob("*.yaml"))
RULES = load_rules(CATALOGUE)


CASES = [(r, c) for r in map(recording.read_recording, RECORDINGS) for c in r.cases]


@functools.cache
def verdict(number: int) -> recording.CaseResult:
    """What fires or is paged over the case, for both tests of it."""
    recorded, case = CASES[number]
    return recording.replay(case, recorded, RULES)[0]


def keys_said(number: int) -> tuple[str, ...]:
    return (*verdict(number).firing, *verdict(number).pages)


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=[case.name for _, case in CASES]
)
def test_a_recorded_window_gets_the_expected_verdict(number: int) -> None:
    found = list(recording.differences(CASES[number][1], verdict(number)))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", RULES.ids)
def test_every_rule_has_a_recording_that_fires_it_and_a_quiet_one(rule: str) -> None:
    fired = quiet = False
    measurement = RULES.find(rule, "").measurement  # type: ignore[union-attr]
    for number, (recorded, case) in enumerate(CASES):
        if rule not in (case.rules or recorded.rules or RULES.ids):
            continue
        spoke = any(key.startswith(f"{rule}/") for key in keys_said(number))
        fired = fired or spoke
        # Quiet without its own rows would prove nothing.
        shown = any(rows.measurement == measurement for rows in case.rows)
        quiet = quiet or (shown and not spoke)
    assert fired, f"no recording in tests/data/rules fires {rule}"
    assert quiet, f"no recording in tests/data/rules shows {rule} quiet"


def written(folder: Path, text: str) -> list[str]:
    path = folder / "own.yaml"
    path.write_text(text)
    with pytest.raises(RuleError) as wrong:
        load_rules(CATALOGUE, folder)
    return wrong.value.findings


RULE = """rules:
  - id: too_hot
    title: Too hot
    severity: warning
    measurement: device
    subject: [device]
    when:
      - {field: duration_ms, is: ">", threshold: 5000}
    summary: "{device_name} is slow"
    runbook: Look.
"""


def test_a_councils_own_rule_is_added_to_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(RULE)
    rules = load_rules(CATALOGUE, tmp_path)
    assert len(rules) == len(RULES) + 1
    assert rules.find("too_hot", "anywhere") is not None


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("duration_ms", "duration"), 8, "did you mean 'duration_ms'"),
        (("severity: warning", "severity: wrning"), 4, "did you mean 'warning'"),
        (("{device_name} is", "{device_nam} is"), 9, "did you mean 'device_name'"),
        (("measurement: device", "measurement: devise"), 5, "did you mean 'device'"),
        (("[device]", "[devic]"), 6, "did you mean 'device'"),
        (("title:", "titel:"), 3, "did you mean 'title'"),
        (("runbook: Look.", "hold: 90"), 10, "expected a length of time"),
        (("threshold: 5000", "threshold: high"), 8, "expected a number"),
        (("id: too_hot", "id: line_down"), 2, "is already at"),
        (("title: Too hot", "title: Too hot\n    title: Hot"), 4, "appears twice"),
        (("measurement: device", "measurement: call_path"), 5, "is about one laptop"),
        (("5000}", "5000, clear: 6000}"), 8, "expected on the well side of 5000"),
        (("duration_ms,", "outcome,"), 8, "is text, expected a number"),
        (
            (
                "runbook:",
                "explains: [{rules: [line_dwn], relation: everything}]\n    runbook:",
            ),
            2,
            "did you mean 'line_down'",
        ),
    ],
)
def test_a_mistake_in_a_rule_is_reported_with_its_line(
    tmp_path: Path, change: tuple[str, str], line: int, says: str
) -> None:
    text = RULE.replace(*change)
    assert text != RULE
    findings = written(tmp_path, text)
    assert any(says in finding for finding in findings), findings
    assert any(f"own.yaml:{line}:" in finding for finding in findings), findings


def test_a_rule_that_can_never_fire_is_refused(tmp_path: Path) -> None:
    start, _, rest = RULE.partition("    when:\n")
    text = start + rest.partition("\n")[2]
    assert any("it never fires" in finding for finding in written(tmp_path, text))


def test_causes_that_explain_each_other_are_refused(tmp_path: Path) -> None:
    text = """rules:
""" + "".join(
        f"""  - id: {me}
    title: {me}
    severity: warning
    measurement: device
    subject: [device]
    when: [{{field: up, is: "<", threshold: 1}}]
    summary: text
    runbook: text
    explains: [{{rules: [{other}], relation: same_device}}]
"""
        for me, other in (("one", "two"), ("two", "one"))
    )
    text = text.replace("id: one", "id: one_").replace("id: two", "id: two_")
    text = text.replace("[one]", "[one_]").replace("[two]", "[two_]")
    assert any(
        "explains itself through" in finding for finding in written(tmp_path, text)
    )


def test_a_cause_that_is_milder_than_its_consequence_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "overrides:\n  - {rule: line_down, severity: info}\n"
    )
    with pytest.raises(RuleError, match="at least as severe"):
        load_rules(CATALOGUE, tmp_path)


def test_an_override_changes_a_threshold_at_one_site_only(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "overrides:\n"
        "  - {rule: line_full_down, sites: [library], threshold: 0.95, for: 20m}\n"
    )
    rules = load_rules(CATALOGUE, tmp_path)
    here, there = (
        rules.find("line_full_down", "library"),
        rules.find("line_full_down", "x"),
    )
    assert here is not None
    assert there is not None
    assert (here.when[0].threshold, here.lasts) == (0.95, 1_200_000)
    # The distance to `clear` is the hysteresis: it moves along.
    assert here.when[0].clear == pytest.approx(0.85)
    assert (there.when[0].threshold, there.when[0].clear) == (0.85, 0.75)


def test_a_rule_may_be_disabled_everywhere_or_at_a_site(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "overrides:\n"
        "  - {rule: port_errors, disable: true}\n"
        "  - {rule: port_down, disable: true, sites: [depot]}\n"
    )
    rules = load_rules(CATALOGUE, tmp_path)
    assert rules.find("port_errors", "hall") is None
    assert rules.find("port_down", "depot") is None
    assert rules.find("port_down", "hall") is not None


def test_an_override_of_an_unknown_rule_is_reported(tmp_path: Path) -> None:
    findings = written(tmp_path, "overrides:\n  - {rule: port_dwn, disable: true}\n")
    assert "did you mean 'port_down'" in findings[0]
    assert "own.yaml:2" in findings[0]


def test_rules_test_exits_1_if_a_result_differs(tmp_path: Path) -> None:
    lines: list[str] = []
    assert alert_commands.rules_test(RECORDINGS[:1], out=lines.append) == 0
    text = RECORDINGS[0].read_text().replace("pages: [", "over: [", 1)
    (tmp_path / "other.yaml").write_text(text)
    assert alert_commands.rules_test([tmp_path / "other.yaml"], out=lines.append) == 1
    assert any("pages: expected nothing" in line for line in lines)


def test_rules_list_and_check_say_what_there_is(tmp_path: Path) -> None:
    lines: list[str] = []
    assert alert_commands.rules_list(None, out=lines.append) == 0
    assert len(lines) == 1 + len(RULES)
    assert alert_commands.rules_check(None, out=lines.append) == 0
    (tmp_path / "own.yaml").write_text("rules: [")
    assert alert_commands.rules_check(tmp_path, out=lines.append) == 2
    assert "is not valid YAML" in lines[-1]


def test_every_text_of_every_rule_can_be_filled_in() -> None:
    from alerts.alert_text import placeholder_values
    from alerts.evaluation.alert_states import AlertState

    for rule in RULES:
        subject = dict.fromkeys(rule.subject, "x")
        entry = AlertState(rule.id, subject, "s", "firing", 0, 0, 0, value=0.5)
        words = placeholder_values(entry, rule, EstateIndex(Estate()))
        for text in (rule.summary, rule.cause, rule.runbook):
            assert "{" not in text.format_map(words)


def test_an_empty_folder_leaves_towpaths_own_rules(tmp_path: Path) -> None:
    assert load_rules(CATALOGUE, tmp_path).ids == RULES.ids
    assert isinstance(load_rule_files([], CATALOGUE), Rules)
